"""Results for people: terminal, web pages, pictures."""
