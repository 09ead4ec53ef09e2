"""Whitening and other linear transforms of vectors."""
