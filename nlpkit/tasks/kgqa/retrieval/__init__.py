"""Retrieval and ranking of candidate facts."""
