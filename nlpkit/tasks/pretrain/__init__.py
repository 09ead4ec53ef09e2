"""Masked language modelling over plain text: the corpus on disk, whole-word masks, and the head."""
