"""A linear classifier on hashed character n-grams."""
