"""The only caller of the queries: each function is one thing that happens in the database."""
