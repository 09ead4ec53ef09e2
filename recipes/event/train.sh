#!/bin/bash
# Train the embedded model of `nlpkit event`: bash recipes/event/train.sh [OUTPUT]
#
# 1. A model that is trained on 700 sentences of DuEE annotates others, of which the event types are known (silver.py).
# 2. A model that is trained on both annotates them again.
# 3. The first stage trains on FewFC, DuEE, the annotated sentences, and three other data sets (first_stage.py). Sentences
#    train the types of their own set only (mark_types.py); in FewFC's, events of DuEE's types are wrong.
# 4. The second stage starts from its encoder and gives the second part of FewFC a greater weight; in sentences of DuEE
#    that are not about finance or law, events of FewFC's types are wrong (second_stage.py). Lines of the corpus are
#    sentences without events (no_events.py). Weights are selected on 300 sentences of FewFC dev and the last 100 of DuEE.
#    Threshold and scores are fitted to FewFC dev.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/event} data=../shared/data work=build/event
mkdir -p $work
tar -xJf $data/more.tar.xz -C $work event/{duee1.0,eet_open,ifly2020}
types=$work/event/duee1.0/train_event_types.txt

nlpkit convert --from fewfc $data/event/fewfc/dev.jsonl -o $work/fewfc-dev.jsonl
nlpkit convert --from fewfc $data/event/fewfc/train.jsonl | python recipes/event/unseen.py $work/fewfc-dev.jsonl > $work/fewfc-train.jsonl
nlpkit convert --from duee-fin $data/event/duee_fin/dev.json -o $work/fin.jsonl
nlpkit convert --from duee $data/event/duee1.0/dev.json -o $work/duee.jsonl
python recipes/event/mark_types.py $work/duee.jsonl < $work/duee.jsonl > $work/duee-typed.jsonl
head -n 900 $work/duee-typed.jsonl > $work/duee-train.jsonl
tail -n 100 $work/duee-typed.jsonl > $work/duee-dev.jsonl
head -n 700 $work/duee-train.jsonl > $work/duee-700.jsonl
tail -n 300 $work/duee-typed.jsonl > $work/duee-300.jsonl

options="--batch-size 16 --lr 3e-4 --dropout 0.1"
nlpkit train event $work/duee-700.jsonl --dev $work/duee-300.jsonl --output $work/first --epochs 16 --ema 0.99 $options
python recipes/event/silver.py $work/first $types $work/duee.jsonl $work/silver-1.jsonl
nlpkit train event $work/duee-700.jsonl $work/duee-700.jsonl $work/silver-1.jsonl --dev $work/duee-300.jsonl \
  --output $work/second --epochs 5 --ema 0.99 $options
python recipes/event/silver.py $work/second $types $work/duee.jsonl $work/silver-2.jsonl

python recipes/event/second_stage.py $work  # first, as it writes the two parts of FewFC
python recipes/event/first_stage.py $work
python recipes/event/no_events.py $data/corpus/corpus-02.txt.xz $work
nlpkit train event $work/mixture.jsonl --dev $work/selection.jsonl --output $work/third --epochs 2 --ema 0.998 --evaluations 3 \
  --threshold auto $options
second=$work/second.jsonl other=$work/other.jsonl
nlpkit train event $work/first.jsonl $second $second $second $second $other $other $work/none.jsonl \
  --dev $work/selection.jsonl --model $work/third --output $work/last --epochs 3 --ema 0.998 --threshold auto --store int8 $options
NLPKIT_DTYPE=fp32 nlpkit calibrate $work/fewfc-dev.jsonl --model $work/last --output "$output"
