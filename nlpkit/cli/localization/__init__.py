"""Help and messages in Chinese. English is in the source; its translation is looked up when a text is shown."""
