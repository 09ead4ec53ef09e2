#!/bin/bash
# Distil the static vectors of `nlpkit embed` from the default encoder: bash recipes/embed-static/train.sh [OUTPUT]
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/embed-static} sets=../shared/data/similarity
mkdir -p build

xz -dc ../shared/data/corpus/corpus-00.txt.xz | sed -n '1,120000p' > build/static.txt
nlpkit train static build/static.txt $sets/{ATEC/train_part1,AFQMC/train,finance_extra/train,STS-B/train}.tsv \
  --dev $sets/ATEC/valid.tsv --dev $sets/BQ/valid.tsv --dev $sets/LCQMC/valid.tsv --dev $sets/PAWSX/valid.tsv \
  --dev $sets/STS-B/valid.tsv --model embed-base --lines 50000 --dim 256 --store int8 --pair-weight 0.1 --epochs 6 --output "$output"
