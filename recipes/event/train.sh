#!/bin/bash
# Train the embedded model of `nlpkit event`: bash recipes/event/train.sh [OUTPUT]
#
# 1. A model that is trained on 700 sentences of DuEE annotates others, of which the event types are known (silver.py).
# 2. A model that is trained on both annotates them again.
# 3. The model is trained on FewFC, DuEE and the annotated sentences. Those of DuEE train its own types only
#    (mark_types.py); in FewFC's, events of DuEE's types are wrong. Weights are selected on 300 sentences of FewFC dev and
#    the last 100 of DuEE.
# 4. A second stage starts from its encoder and gives the second part of FewFC a greater weight; in sentences of DuEE that
#    are not about finance or law, events of FewFC's types are wrong (second_stage.py). Threshold and scores are fitted
#    to FewFC dev.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/event} data=../shared/data work=build/event
mkdir -p $work
tar -xJf $data/more.tar.xz -C $work event/duee1.0
types=$work/event/duee1.0/train_event_types.txt

for split in train dev; do
  nlpkit convert --from fewfc $data/event/fewfc/$split.jsonl -o $work/fewfc-$split.jsonl
done
nlpkit convert --from duee $data/event/duee1.0/dev.json -o $work/duee.jsonl
python recipes/event/mark_types.py $work/duee.jsonl < $work/duee.jsonl > $work/duee-typed.jsonl
head -n 900 $work/duee-typed.jsonl > $work/duee-train.jsonl
tail -n 100 $work/duee-typed.jsonl > $work/duee-dev.jsonl
head -n 700 $work/duee-train.jsonl > $work/duee-700.jsonl
tail -n 300 $work/duee-typed.jsonl > $work/duee-300.jsonl
(head -n 300 $work/fewfc-dev.jsonl && cat $work/duee-dev.jsonl) > $work/selection.jsonl

options="--batch-size 16 --lr 3e-4 --dropout 0.1"
nlpkit train event $work/duee-700.jsonl --dev $work/duee-300.jsonl --output $work/first --epochs 16 --ema 0.99 $options
python recipes/event/silver.py $work/first $types $work/duee.jsonl $work/silver-1.jsonl
nlpkit train event $work/duee-700.jsonl $work/duee-700.jsonl $work/silver-1.jsonl --dev $work/duee-300.jsonl \
  --output $work/second --epochs 5 --ema 0.99 $options
python recipes/event/silver.py $work/second $types $work/duee.jsonl $work/silver-2.jsonl

fewfc=$work/fewfc-train.jsonl duee=$work/duee-train.jsonl
nlpkit train event $fewfc $fewfc $fewfc $duee $duee $duee $work/silver-2.jsonl --dev $work/selection.jsonl \
  --output $work/third --epochs 4 --ema 0.998 --evaluations 2 --threshold auto $options
python recipes/event/second_stage.py $work
second=$work/second.jsonl
nlpkit train event $work/first.jsonl $second $second $second $second $work/other.jsonl $work/other.jsonl \
  --dev $work/selection-2.jsonl --model $work/third --output $work/last --epochs 3 --batch-size 16 --lr 2e-4 --dropout 0.1 \
  --ema 0.995 --threshold auto --store int8
NLPKIT_DTYPE=fp32 nlpkit calibrate $work/fewfc-dev.jsonl --model $work/last --output "$output"
