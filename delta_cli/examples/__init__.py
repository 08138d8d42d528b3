"""Applications to read and run: each uses only what `delta_cli` exports."""
