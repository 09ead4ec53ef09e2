#!/bin/bash
# Train the sentence encoder of `nlpkit embed`: [BACKBONE=nlpkit-small] bash recipes/embed-small/train.sh [OUTPUT]
#
# 1. CoSENT on pairs and triplets.
# 2. CoSENT again, with more sets and with triplets on word order (word_order.py). The second model knows word order and
#    finance better, and plain questions worse.
# 3. Weights between the two, 0.6 of the second (interpolate.py).
# 4. A PCA of 10,000 lines is stored with it, for vectors of fewer dimensions.
#
# Needs jq; intermediate files are kept in build/embed. Dropout is 0, because the backbone was pretrained without it, and
# the upper layers die with it. The optimizer is Muon, as in pretraining: after the first step the mean of the dev sets is
# 49.1 with Muon at 3e-4, and 47.4 with AdamW at 2e-4.
set -e
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/embed-small} backbone=${BACKBONE:-nlpkit-small} sets=../shared/data/similarity work=build/embed
mkdir -p $work
tar -xJf ../shared/data/more.tar.xz -C $work similarity/{OCNLI,SimCLUE,QBQTC,OPPO-xiaobu,ChineseSTS,Chinese-SNLI}
more=$work/similarity

grep -v '"label":"-"' $more/OCNLI/train.10k.json > $work/ocnli.json
jq -c '{query: .sentence_0, title: (if .label == 1 then .sentence_1 else .sentence_2 end),
        neg_title: (if .label == 1 then .sentence_2 else .sentence_1 end)}' $more/SimCLUE/triclue_train.json > $work/triclue.json
cut -f2,4,5 $more/ChineseSTS/simtrain_to05sts.tsv > $work/chinese-sts.tsv
python recipes/embed-small/word_order.py 7000 ../shared/data/corpus/corpus-00.txt.xz > $work/swaps.json
pairs="$sets/ATEC/train_part1.tsv $sets/AFQMC/train.tsv $sets/finance_extra/train.tsv $sets/STS-B/train.tsv"
ranked=$more/SimCLUE/train_rank_1w.json
simclue="$more/SimCLUE/train_pair_1w.json $ranked $work/triclue.json"
others="$work/chinese-sts.tsv $more/OPPO-xiaobu/dev.tsv $more/QBQTC/dev.json $more/Chinese-SNLI/dev.tsv"
for name in ATEC BQ LCQMC PAWSX STS-B; do
  shuf --random-source=<(yes) -n 1000 $sets/$name/valid.tsv > $work/dev-$name.tsv
  dev="$dev --dev $work/dev-$name.tsv"
done

train() {
  nlpkit train embed --method cosent "$@" $dev --pooling first-last --max-length 128 --batch-size 32 --lr 3e-4 --optimizer muon \
    --dropout 0 --epochs 1 --ema 0.999 --quiet
}
train $pairs $sets/STS-B/train.tsv $work/ocnli.json $simclue $ranked --model $backbone --output $work/first --evaluations 12
train $pairs $pairs $sets/STS-B/train.tsv $simclue $ranked $others $work/ocnli.json $work/swaps.json --model $work/first \
  --output $work/second --evaluations 8 --store int8
python recipes/embed-small/interpolate.py $work/first $work/second 0.6 $output ${dev//--dev/}
xz -dc ../shared/data/corpus/corpus-00.txt.xz | head -n 10000 > $work/lines.txt
nlpkit train whitening $work/lines.txt --model $output --beta 0 --gamma 0 --output $output --quiet
