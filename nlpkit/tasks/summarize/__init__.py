"""Extractive summaries: the most central sentences of a text."""
