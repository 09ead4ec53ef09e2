"""Training and evaluation of any task."""
