#!/bin/bash
# Pretrain the embedded backbone: bash recipes/nlpkit-small/train.sh [OUTPUT]
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/nlpkit-small} corpus=../shared/data/corpus/*.txt.xz

nlpkit pretrain $corpus --output build/first --corpus build/corpus --store fp16 --config 6x256 --minutes 57.5 \
  --lr 2e-3 --weight-decay 0.01
nlpkit pretrain $corpus --output build/second --corpus build/corpus --store fp16 --vocabulary build/first/vocab.txt \
  --init-from build/first --minutes 62 --lr 2e-3 --weight-decay 0.01 --seed 43
OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m nlpkit pretrain $corpus --output "$output" --corpus build/corpus \
  --store fp16 --init-from build/second --tokens 113e6 --lr 1.5e-3 --seed 45
