"""Base classes of tasks that find spans in texts, and of spans linked in pairs."""
