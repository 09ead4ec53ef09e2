#!/bin/bash
# Train the embedded model of `nlpkit kgqa`: bash recipes/kgqa/train.sh [OUTPUT]
#
# Two epochs from nlpkit-base, on real and synthesized questions with hard negatives; the ranker reads 8 tokens of the
# objects (the default of `train kgqa`). Weights and thresholds are selected on the 1,500 questions of KgCLUE dev that
# tests/bench/kgqa_absent.py does not ask.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/kgqa} data=../shared/data graph=build/kgclue.kg
mkdir -p build
nlpkit graph build $data/kg/kgclue_graph.tsv.zst -o $graph --model nlpkit-base > /dev/null
python tests/bench/kgqa_absent.py split build
# exit code 3: one record without a subject is skipped
nlpkit train kgqa $data/kgclue/train.json $data/nlpcc_kbqa/train.jsonl --dev build/fit.jsonl --format kgclue \
  --on-error skip --graph $graph --synthesize $graph --synthetic 8000 --model nlpkit-base --epochs 2 --lr 2e-4 --dropout 0.1 --max-length 128 \
  --ema 0.998 --evaluations 2 --store int8 --output "$output" || [ $? = 3 ]
