"""Relations between entities with GPLinker (kexue.fm 8888)."""
