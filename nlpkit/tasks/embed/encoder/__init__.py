"""From texts to vectors with a transformer encoder."""
