"""How the images that a data plugin reaches become splits: alike for all of them."""
