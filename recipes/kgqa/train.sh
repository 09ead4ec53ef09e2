#!/bin/bash
# Train the embedded model of `nlpkit kgqa`: bash recipes/kgqa/train.sh [OUTPUT]
#
# Training continues from the model of commit 0a94b04 (the command on its card made that one), in two steps: first on
# questions whose subject is in the graph, then also on questions without it (--absence). The result is the mean of old
# and new weights, with 0.6 of the new ones.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/kgqa} data=../shared/data graph=build/kgclue.kg old=build/nlpkit/models/kgqa
mkdir -p build

train() { # exit code 3: questions whose facts the graph lacks were skipped
  nlpkit train kgqa "$@" --dev build/fit.jsonl -f kgclue --on-error skip --graph $graph --synthesize $graph --epochs 1 \
    --max-length 128 --store int8 || [ $? = 3 ]
}

git archive 0a94b04 nlpkit/models/kgqa | tar -x -C build
nlpkit graph build $data/kg/kgclue_graph.tsv.zst -o $graph --model nlpkit-small > /dev/null
sed -n 1,5000p $data/kgclue/train.json > build/kgclue1.jsonl
sed -n 5001,11000p $data/kgclue/train.json > build/kgclue2.jsonl
sed -n 1,1500p $data/nlpcc_kbqa/train.jsonl > build/nlpcc1.jsonl
sed -n 1501,2500p $data/nlpcc_kbqa/train.jsonl > build/nlpcc2.jsonl
python tests/bench/kgqa_absent.py split build
train build/kgclue1.jsonl build/nlpcc1.jsonl -m $old --synthetic 1000 --lr 3e-4 -o build/kgqa-1
train build/kgclue2.jsonl build/nlpcc2.jsonl -m build/kgqa-1 --synthetic 800 --lr 2e-4 --absence 0.2 -o build/kgqa-2
python recipes/kgqa/average.py build/kgqa-2 $old 0.6 build/fit.jsonl $graph "$output"
