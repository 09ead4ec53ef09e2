#!/bin/bash
# Train the embedded model of `nlpkit classify`: bash recipes/sentiment/train.sh [OUTPUT]
#
# Only sets of repositories under Apache-2.0. Texts of the dev sets that are in a training set as well are left out.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/sentiment} data=../shared/data work=build/sentiment
mkdir -p $work
tar -xJf $data/more.tar.xz -C $work classification/ChnSentiCorp

bojone() { awk -F'\t' '{ print $1 "\t" ($NF == "1" ? "positive" : "negative") }' "$1"; }
chn() { tail -n +2 "$work/classification/ChnSentiCorp/$1.tsv" | awk -F'\t' '{ print $2 "\t" ($1 == "1" ? "positive" : "negative") }'; }
(bojone $data/classification/sentiment/train.tsv && chn train) > $work/train.tsv
(bojone $data/classification/sentiment/valid.tsv && chn dev) |
  awk -F'\t' 'NR == FNR { seen[$1]; next } !($1 in seen)' $work/train.tsv - > $work/dev.tsv
nlpkit train classify $work/train.tsv --format tsv --dev $work/dev.tsv --backbone ngram --store int8 --output "$output"
