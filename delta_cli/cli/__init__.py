"""The command line `delta`: what operators type. `output.py` alone writes data to stdout."""
