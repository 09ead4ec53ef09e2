"""Writes the files of one case of a reader, and uses them; or runs many cases.

python tests/fuzz/reproduce.py 'ner onnx' 137 /tmp/case     # the traceback, if there is one; the files stay
python tests/fuzz/reproduce.py 'ner onnx' 0-20000           # what is wrong with these cases
"""

import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "NLPKIT_LANG": "en", "OMP_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from fuzz.campaign import Cases, campaign
from fuzz.readers import READERS

from nlpkit.errors import NlpkitError


def main(name, numbers, folder=None):
    torch.set_num_threads(1)
    warnings.simplefilter("error")  # as in the tests
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="jieba.*")
    if "-" in numbers:
        first, end = map(int, numbers.split("-"))
        for reader in READERS.values() if name == "all" else [READERS[name]]:
            with tempfile.TemporaryDirectory() as place:
                start = time.monotonic()
                found = campaign(reader, Path(place) / "folder", end, first)
            print(
                f"{reader.name}: {end - first} cases, {time.monotonic() - start:.1f} s",
                *found,
                sep="\n    ",
                flush=True,
            )
        return
    cases = Cases(READERS[name], Path(folder))
    print("changed:", *cases.write(int(numbers)))
    try:
        READERS[name].use(Path(folder))
        print("read without an error")
    except NlpkitError as error:
        print("error:", error)


if __name__ == "__main__":
    main(*sys.argv[1:])
