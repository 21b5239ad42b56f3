"""`sslkit predict`: images in, classes out, as many as there are."""
