"""Static embeddings: vectors of characters and words, averaged."""
