"""Named entities with GlobalPointer (kexue.fm 8373, 8877)."""
