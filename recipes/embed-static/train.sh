#!/bin/bash
# Distil the static vectors of `nlpkit embed` from the default encoder: bash recipes/embed-static/train.sh [OUTPUT]
#
# Of pairs of everyday questions only the cosines of the encoder are learned, not their labels, whose meaning differs from
# set to set. Needs jq.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/embed-static} sets=../shared/data/similarity
mkdir -p build

tar -xJf ../shared/data/more.tar.xz -C build similarity/{SimCLUE,QBQTC}
{
  jq -c '{query: .sentence1, title: .sentence2}' build/similarity/SimCLUE/train_pair_1w.json
  jq -c '{query, title}, {query, title: .neg_title}' build/similarity/SimCLUE/train_rank_1w.json
  jq -c '{query: .sentence_0, title: .sentence_1}, {query: .sentence_0, title: .sentence_2}' build/similarity/SimCLUE/triclue_train.json
  head -n 10000 build/similarity/QBQTC/dev.json | jq -c '{query, title}'
} > build/everyday.jsonl
xz -dc ../shared/data/corpus/corpus-00.txt.xz | sed -n '1,120000p' > build/static.txt
nlpkit train static build/static.txt build/everyday.jsonl \
  $sets/{ATEC/train_part1,AFQMC/train,finance_extra/train,STS-B/train}.tsv \
  --dev $sets/ATEC/valid.tsv --dev $sets/BQ/valid.tsv --dev $sets/LCQMC/valid.tsv --dev $sets/PAWSX/valid.tsv \
  --dev $sets/STS-B/valid.tsv --model embed-base --output "$output" \
  --lines 50000 --tokens 23000 --dim 256 --pair-weight 0.05 --epochs 6 --store int8
