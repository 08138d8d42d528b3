"""The engine: everything that works resources. It draws nothing and writes no output."""
