"""Studies: a recipe and its variants over several seeds, compared in pairs."""
