"""Built-in `[[tracker]]` plugins."""
