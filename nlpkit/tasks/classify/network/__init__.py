"""The encoder: its heads, training batches, and texts as sequences."""
