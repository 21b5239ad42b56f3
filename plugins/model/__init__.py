"""Built-in `[model]` plugins; without `use`, `[model]` is a model of timm's."""
