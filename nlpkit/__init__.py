"""nlpkit: Chinese NLP for shell pipelines."""

__version__ = "0.1.0"
