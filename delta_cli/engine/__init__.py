"""The engine: objects, states, the control loop and its store. No command line and no dashboard here."""
