"""Tensors only: backbones, heads, losses, optimiser groups."""
