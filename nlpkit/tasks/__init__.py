"""The tasks, one slice each; they never import each other."""
