"""The loops of a worker, a small class and a file each. They know their base and no sibling."""
