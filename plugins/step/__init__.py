"""Built-in `[step]` plugins."""
