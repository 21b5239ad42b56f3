"""`sslkit export`: a finished model as other tools load it."""
