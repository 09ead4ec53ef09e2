"""Constrained beam search over the keys of a graph."""
