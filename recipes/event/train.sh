#!/bin/bash
# Train the embedded model of `nlpkit event`: bash recipes/event/train.sh [OUTPUT]
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/event} data=../shared/data/event
mkdir -p build

nlpkit convert --from fewfc $data/fewfc/train.jsonl -o build/fewfc.jsonl
nlpkit convert --from fewfc $data/fewfc/dev.jsonl -o build/fewfc-dev.jsonl
nlpkit convert --from duee $data/duee1.0/dev.json -o build/duee.jsonl
head -n 900 build/duee.jsonl > build/duee-train.jsonl
nlpkit train event build/fewfc.jsonl build/duee-train.jsonl --dev build/fewfc-dev.jsonl --model nlpkit-small \
  --output "$output" --epochs 10 --batch-size 8 --ema 0.998 --threshold auto --store fp16
