"""The parts that tabs are made of: a file each. None of them reads the engine."""
