"""`sslkit labels`: what a run learned from, looked at, compared, exported and corrected."""
