"""Built-in `[[loss]]` plugins."""
