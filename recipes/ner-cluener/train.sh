#!/bin/bash
# Train the embedded model of `nlpkit ner`: bash recipes/ner-cluener/train.sh [OUTPUT]
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/ner-cluener} data=../shared/data/cluener

nlpkit train ner $data/train.json --dev $data/dev.json --format cluener --model nlpkit-small --output "$output" \
  --epochs 2 --batch-size 8 --join 5 --dropout 0 --ema 0.998 --seed 44 --threshold auto --store fp16
