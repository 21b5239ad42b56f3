"""Built-in plugins. They have no privileges: `sslkit` finds them as it finds anyone's, by entry point."""
