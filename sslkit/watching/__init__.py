"""A run seen from outside: how it stands, what it has told."""
