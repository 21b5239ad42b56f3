"""Image files: how they are found, read and looked at. For data plugins, and for commands that take files."""
