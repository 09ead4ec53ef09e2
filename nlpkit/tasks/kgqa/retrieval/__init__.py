"""From a question to candidate facts, and their scores."""
