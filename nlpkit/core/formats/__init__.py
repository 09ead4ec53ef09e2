"""Annotated texts in nlpkit's formats and those of annotation tools."""
