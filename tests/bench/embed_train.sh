#!/bin/bash
# Trains the embedded sentence encoder: CoSENT on the training sets that may be used; then on more of them and on the order
# of words (swaps.py), with weights between those of the two (between.py): of the second, that knows order and finance
# better and plain questions worse, six tenths. A PCA of 10,000 lines is stored with it, for vectors of fewer dimensions.
#
#     bash tests/bench/embed_train.sh BACKBONE OUTPUT
#
# Run in the root of the repository; needs jq. What it makes on the way is kept in build/embed. Without dropout, with
# which the upper layers die: the backbone has been pretrained without. Muon, as in its pretraining: after the first
# training the mean of the dev sets is 49.1 with it at 3e-4, 47.4 with AdamW at 2e-4.
set -e
backbone=$1 output=$2 sets=../shared/data/similarity work=build/embed
mkdir -p $work
tar -xJf ../shared/data/more.tar.xz -C $work similarity/{OCNLI,SimCLUE,QBQTC,OPPO-xiaobu,ChineseSTS,Chinese-SNLI}
more=$work/similarity

grep -v '"label":"-"' $more/OCNLI/train.10k.json > $work/ocnli.json
jq -c '{query: .sentence_0, title: (if .label == 1 then .sentence_1 else .sentence_2 end),
        neg_title: (if .label == 1 then .sentence_2 else .sentence_1 end)}' $more/SimCLUE/triclue_train.json > $work/triclue.json
cut -f2,4,5 $more/ChineseSTS/simtrain_to05sts.tsv > $work/chinese-sts.tsv
python tests/bench/swaps.py 7000 ../shared/data/corpus/corpus-00.txt.xz > $work/swaps.json
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
python tests/bench/between.py $work/first $work/second 0.6 $output ${dev//--dev/}
xz -dc ../shared/data/corpus/corpus-00.txt.xz | head -n 10000 > $work/lines.txt
nlpkit train embed --method whitening $work/lines.txt --model $output --beta 0 --gamma 0 --output $output --quiet
