"""The commands of `sslkit`, one module each; `sslkit.cli` loads the one that is asked for."""
