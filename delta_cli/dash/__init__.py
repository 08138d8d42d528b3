"""The dashboard `delta dash`: a live view of one Delta, with the operators' actions."""
