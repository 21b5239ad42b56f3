"""Built-in `[[labeler]]` plugins."""
