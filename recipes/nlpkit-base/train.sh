#!/bin/bash
# Train the embedded backbone: [MINUTES=6] bash recipes/nlpkit-base/train.sh [OUTPUT]
#
# 1. The teacher, multilingual-e5-small (teacher.sh), and the student: its lowest 6 layers with nlpkit's vocabulary of
#    characters (student.py). The vocabulary is that of the embedded backbone; `nlpkit pretrain` made it from the corpus.
# 2. Masked language modeling and distillation on three fifths of the corpus (distill.py). 6 minutes are meant for an H200;
#    a CPU needs weeks for as many tokens.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/nlpkit-base} work=build/nlpkit-base
mkdir -p $work

bash recipes/nlpkit-base/teacher.sh
python recipes/nlpkit-base/student.py build/teacher nlpkit/models/nlpkit-base/vocab.txt 6 $work/student
python recipes/nlpkit-base/distill.py --teacher build/pruned --student $work/student \
  --corpus ../shared/data/corpus/corpus-0{0,1,2}.txt.xz --output $work/run --minutes "${MINUTES:-6}"
mkdir -p "$output/training"
cp $work/run/model/* "$output/"
cp $work/run/log.jsonl "$output/training/"
