#!/bin/bash
# Trains the embedded sentence encoder: SimCSE on sentences, then CoSENT on the training sets that may be used.
#
#     bash tests/bench/embed_train.sh BACKBONE OUTPUT
#
# Run in the root of the repository; needs jq. What it makes on the way is kept in build/embed.
set -e
backbone=$1 output=$2 sets=../shared/data/similarity work=build/embed
mkdir -p $work
tar -xJf ../shared/data/more.tar.xz -C $work similarity/OCNLI similarity/SimCLUE
more=$work/similarity

grep -v '"label":"-"' $more/OCNLI/train.10k.json > $work/ocnli.json
jq -c '{query: .sentence_0, title: (if .label == 1 then .sentence_1 else .sentence_2 end),
        neg_title: (if .label == 1 then .sentence_2 else .sentence_1 end)}' $more/SimCLUE/triclue_train.json > $work/triclue.json
pairs="$sets/ATEC/train_part1.tsv $sets/AFQMC/train.tsv $sets/finance_extra/train.tsv $sets/STS-B/train.tsv"
simclue="$more/SimCLUE/train_pair_1w.json $more/SimCLUE/train_rank_1w.json $work/triclue.json"
(cut -f1 $pairs; jq -r .query $simclue) | sort -u | shuf --random-source=<(yes) -n 10000 > $work/sentences.txt
for name in ATEC BQ LCQMC PAWSX STS-B; do
  shuf --random-source=<(yes) -n 1000 $sets/$name/valid.tsv > $work/dev-$name.tsv
  dev="$dev --dev $work/dev-$name.tsv"
done

nlpkit train embed --method simcse $work/sentences.txt $dev --model $backbone --output $work/simcse --pooling first-last \
  --max-length 64 --batch-size 64 --lr 1e-4 --dropout 0.2 --epochs 1 --evaluations 2 --quiet
nlpkit train embed --method cosent $pairs $sets/STS-B/train.tsv $work/ocnli.json $simclue $more/SimCLUE/train_rank_1w.json \
  $dev --model $work/simcse --output $output --pooling first-last --max-length 128 --batch-size 32 --lr 5e-4 --dropout 0.1 \
  --epochs 1 --evaluations 4 --ema 0.999 --store int8 --quiet
