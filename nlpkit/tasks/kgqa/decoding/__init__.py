"""Beam search over the keys of a graph."""
