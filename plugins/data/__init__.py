"""Built-in `[data]` plugins."""
