"""The loops of a worker, each a small class in its own file. They know their base and no sibling."""
