"""Periodic passes over the tables, each in its own file and in bounded batches."""
