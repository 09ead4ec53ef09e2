"""Reading and writing folders of sentence-transformers."""
