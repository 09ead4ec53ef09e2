#!/bin/bash
# Train the embedded model of `nlpkit event`: bash recipes/event/train.sh [OUTPUT]
#
# Weights are selected on 300 sentences of FewFC dev and the last 100 of DuEE; threshold and scores are fitted to FewFC dev.
# Then the logits of DuEE's types, which have a quarter of the training texts, are shifted (balance.py).
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/event} data=../shared/data/event work=build/event
mkdir -p $work

nlpkit convert --from fewfc $data/fewfc/train.jsonl -o $work/fewfc.jsonl
nlpkit convert --from fewfc $data/fewfc/dev.jsonl -o $work/dev.jsonl
nlpkit convert --from duee $data/duee1.0/dev.json -o $work/duee.jsonl
head -n 900 $work/duee.jsonl > $work/duee-train.jsonl
(head -n 300 $work/dev.jsonl && tail -n 100 $work/duee.jsonl) > $work/selection.jsonl
nlpkit train event $work/fewfc.jsonl $work/duee-train.jsonl --dev $work/selection.jsonl --model nlpkit-base --output "$output" \
  --epochs 12 --batch-size 16 --lr 3e-4 --dropout 0.1 --ema 0.998 --store int8
nlpkit calibrate $work/dev.jsonl --model "$output" --output "$output"
tail -n 100 $work/duee.jsonl > $work/duee-dev.jsonl
python recipes/event/balance.py "$output" "$output" $work/duee-dev.jsonl $work/duee-train.jsonl
