"""Leave out the training records whose text is also in a dev set.

    python recipes/event/unseen.py DEV < TRAIN > OUTPUT

FewFC as published has 45 sentences in both of its splits.
"""

import json
import sys
from pathlib import Path


def main(dev: str) -> None:
    """Write the records of stdin that remain."""
    with Path(dev).open(encoding="utf-8") as stream:
        texts = {json.loads(line)["text"] for line in stream}
    sys.stdout.writelines(line for line in sys.stdin if json.loads(line)["text"] not in texts)


if __name__ == "__main__":
    main(*sys.argv[1:])
