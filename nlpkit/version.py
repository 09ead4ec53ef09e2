"""The version of nlpkit."""

__version__ = "0.1.0"
