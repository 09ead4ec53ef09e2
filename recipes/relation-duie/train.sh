#!/bin/bash
# Train the embedded model of `nlpkit relation`: bash recipes/relation-duie/train.sh [OUTPUT]
#
# The weights are the mean of three models that start from the same ones (average.py). The first is trained on the
# occurrences of subject and object that are closest to each other; the others learn which occurrences are meant.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/relation-duie} work=build/relation-duie
mkdir -p $work

nlpkit convert --from duie ../shared/data/relation/duie2_sample/train_5000.json -o $work/duie.jsonl
head -n 4500 $work/duie.jsonl > $work/train.jsonl
tail -n 500 $work/duie.jsonl > $work/dev.jsonl
sed 's/,"located":false//' $work/train.jsonl > $work/closest.jsonl

options="--dev $work/dev.jsonl --model nlpkit-base --batch-size 16 --lr 3e-4 --dropout 0.1 --ema 0.998"
nlpkit train relation $work/closest.jsonl $options --output $work/first --epochs 14 --fgm 0.5
nlpkit train relation $work/train.jsonl $options --output $work/second --epochs 10 --fgm 0.5
nlpkit train relation $work/train.jsonl $options --output $work/third --epochs 7
python recipes/relation-duie/average.py $work/mean $work/first $work/second $work/third
NLPKIT_DTYPE=fp32 nlpkit calibrate $work/dev.jsonl --model $work/mean --output "$output"
