"""What corrupts and perturbs images to see what a model stands: operations and sequences of them."""
