"""Built-in `[[noise]]` plugins."""
