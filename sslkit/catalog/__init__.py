"""What is installed, described for people: plugins and the recipes that come with sslkit."""
