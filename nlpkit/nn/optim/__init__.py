"""Optimizers, weight averaging, adversarial training."""
