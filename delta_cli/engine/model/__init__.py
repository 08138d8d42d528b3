"""The values that travel: rows, events, runs and results, by subject. They decide nothing."""
