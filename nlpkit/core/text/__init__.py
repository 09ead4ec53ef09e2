"""Text: normalization, tokenization, vocabularies, windows."""
