"""Optimizers, weight averaging, adversarial training."""

from typing import Literal

OptimizerName = Literal["adamw", "muon"]
