"""Built-in `[[metric]]` plugins."""
