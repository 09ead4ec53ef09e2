#!/bin/bash
# One pass over the people, places and organisations in MSRA's news, before the entities of CLUENER.
#
#     bash tests/bench/entities.sh BACKBONE OUTPUT
#
# Run in the root of the repository. What it makes on the way is kept in build.
set -e
mkdir -p build
zstdcat ../shared/data/ner/msra/train.txt.zst |
    awk -v RS= -v ORS='\n\n' '{ print > (NR % 50 ? "build/msra-train.txt" : "build/msra-dev.txt") }'
nlpkit train ner build/msra-train.txt --dev build/msra-dev.txt --format conll --model "$1" --output "$2" \
    --epochs 1 --join 2 --dropout 0.1 --ema 0.99 --on-error skip --quiet ||
    [ $? = 3 ]  # a few blocks begin within an entity
