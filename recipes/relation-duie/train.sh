#!/bin/bash
# Train the embedded model of `nlpkit relation`: bash recipes/relation-duie/train.sh [OUTPUT]
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/relation-duie}
mkdir -p build

nlpkit convert --from duie ../shared/data/relation/duie2_sample/train_5000.json -o build/duie.jsonl
head -n 4500 build/duie.jsonl > build/duie-train.jsonl
tail -n 500 build/duie.jsonl > build/duie-dev.jsonl
nlpkit train relation build/duie-train.jsonl --dev build/duie-dev.jsonl --model nlpkit-base --output "$output" \
  --epochs 10 --batch-size 16 --lr 3e-4 --dropout 0.1 --ema 0.998 --fgm 0.5 --threshold auto --store int8
