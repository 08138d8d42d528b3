"""The engine: objects, states, the control loop and its store. It draws nothing."""
