"""What can be known of a recipe before it runs: what it composes, whether its losses teach, what it will take."""
