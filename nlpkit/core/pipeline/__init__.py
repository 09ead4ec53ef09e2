"""Records through a model to an output: in one process or several, on one machine or many, and again after a kill."""
