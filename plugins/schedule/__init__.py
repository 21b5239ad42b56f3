"""Built-in `[[schedule]]` plugins."""
