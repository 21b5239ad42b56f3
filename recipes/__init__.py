"""Recipes that come with sslkit: `sslkit run NAME` finds them from any folder."""
