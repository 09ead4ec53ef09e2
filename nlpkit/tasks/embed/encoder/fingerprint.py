"""The fingerprint of a model's weights, which identifies its vector space."""

import hashlib
from pathlib import Path

from nlpkit.tasks.embed.encoder.linear_map import STORED

SAMPLE = 1 << 20  # bytes at either end of a weights file that are hashed for the fingerprint


def weights_fingerprint(folder: Path) -> str:
    """Return a hash that identifies a model's weights: of the size and both ends of each weights file."""
    digest = hashlib.blake2b(digest_size=8)
    paths = [path for pattern in ("*.safetensors", "*.bin") for path in sorted(folder.rglob(pattern))]
    for path in paths:
        if path.name == STORED or "training" in path.relative_to(folder).parts:
            continue
        size = path.stat().st_size
        with path.open("rb") as stream:
            digest.update(size.to_bytes(8, "little") + stream.read(SAMPLE))
            stream.seek(max(0, size - SAMPLE))
            digest.update(stream.read(SAMPLE))
    return digest.hexdigest()
