"""Train the embedded models again, each by the script of its folder.

    python recipes/rebuild.py [NAME…]

Without a name all models are trained, the backbone first. The scripts read ../shared/data.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "nlpkit" / "models"
BACKBONE = "nlpkit-base"


def main(*names: str) -> None:
    """Run the scripts one after the other."""
    embedded = (path.parent.name for path in MODELS.glob("*/card.json"))
    for name in names or sorted(embedded, key=lambda name: (name != BACKBONE, name)):
        started = time.monotonic()
        subprocess.run(["bash", str(ROOT / "recipes" / name / "train.sh")], check=True)
        print(f"# {name}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
