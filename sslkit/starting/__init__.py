"""`sslkit init`: what lies in a folder, and a recipe that fits it and this machine."""
