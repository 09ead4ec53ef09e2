"""Trains embedded models anew, each by the command on its card.

    python tests/bench/rebuild.py [NAME…]

All of them, the backbone first, when no name is given. The commands run in the root of the repository, through bash,
and read ../shared/data.
"""

import json
import subprocess
import sys
import time

from common import ROOT

MODELS = ROOT / "nlpkit" / "models"


def main(*names: str) -> None:
    """The command of every card in turn."""
    cards = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in MODELS.glob("*/card.json")}
    for name in sorted(names or cards, key=lambda name: (name != "nlpkit-small", name)):
        print(f"$ {cards[name]['rebuild']}", flush=True)
        started = time.monotonic()
        subprocess.run(["bash", "-c", cards[name]["rebuild"]], cwd=ROOT, check=True)
        print(f"# {name}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
