"""All SQL of the engine: constants, one module per table, no formatting.

Names are unqualified; the connection's search path leads to Delta's schema. A test prepares every
constant against the migrated schema.
"""
