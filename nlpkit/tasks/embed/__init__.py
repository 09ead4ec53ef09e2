"""Sentence embeddings: encoders, whitening, SimCSE and CoSENT."""
