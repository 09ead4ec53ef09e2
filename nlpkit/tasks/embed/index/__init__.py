"""Vector indexes of text files."""
