"""Fitting a whitening on texts or vectors; what it computes is in `encoder.linear_map`."""
