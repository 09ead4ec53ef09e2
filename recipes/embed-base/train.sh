#!/bin/bash
# Train the sentence encoder embed-base from multilingual-e5-small: bash recipes/embed-base/train.sh [OUTPUT]
#
# 1. The teacher of nlpkit-base: multilingual-e5-small with a smaller vocabulary (prune.py).
# 2. CoSENT on pairs and triplets, in the upper 6 of the 12 layers.
# 3. Weights between the two (interpolate.py), which keep the retrieval of passages.
# 4. 8 of the 12 layers learn the vectors of all 12, on the sentences of the pairs, titles, words and lines of the corpus
#    (fewer_layers.py).
#
# Needs jq; intermediate files are kept in build/embed-base.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-nlpkit/models/embed-base} sets=../shared/data/similarity work=build/embed-base
mkdir -p $work/pairs
tar -xJf ../shared/data/more.tar.xz -C $work similarity/{OCNLI,SimCLUE,OPPO-xiaobu,Chinese-SNLI}
more=$work/similarity

sample() { shuf --random-source=<(yes) -n "$2" "$1" > "$work/pairs/$3"; }
grep -v '"label":"-"' $more/OCNLI/train.10k.json > $work/ocnli.json
jq -c '{query: .sentence_0, title: (if .label == 1 then .sentence_1 else .sentence_2 end),
        neg_title: (if .label == 1 then .sentence_2 else .sentence_1 end)}' $more/SimCLUE/triclue_train.json > $work/triclue.json
python recipes/embed-base/word_order.py 7000 ../shared/data/corpus/corpus-00.txt.xz > $work/swaps.json
sample $sets/ATEC/train_part1.tsv 12000 atec.tsv
sample $sets/AFQMC/train.tsv 5000 afqmc.tsv
sample $sets/finance_extra/train.tsv 8000 finance.tsv
sample $sets/STS-B/train.tsv 5191 stsb.tsv
sample $work/ocnli.json 4000 ocnli.json
sample $more/SimCLUE/train_rank_1w.json 2500 rank.json
sample $work/triclue.json 2500 triclue.json
sample $more/OPPO-xiaobu/dev.tsv 3000 oppo.tsv
sample $more/Chinese-SNLI/dev.tsv 2000 snli.tsv
sample $work/swaps.json 1200 swaps.json
for name in ATEC BQ LCQMC PAWSX STS-B; do
  shuf --random-source=<(yes) -n 400 $sets/$name/valid.tsv > $work/dev-$name.tsv
  dev="${dev:-} --dev $work/dev-$name.tsv"
done

bash recipes/nlpkit-base/teacher.sh
nlpkit train embed $work/pairs/* $dev --method cosent --model build/pruned --output $work/tuned --pooling mean --max-length 512 \
  --batch-size 32 --lr 1e-4 --freeze-layers 6 --epochs 1 --ema 0.998 --evaluations 3
python recipes/embed-base/interpolate.py build/pruned $work/tuned 0.75 $work/twelve
python recipes/embed-base/sentences.py $work/pairs/* > $work/texts.txt
cut -f 1 ../shared/data/classification/THUCNews_train/train.txt >> $work/texts.txt
python recipes/embed-base/words.py 25000 >> $work/texts.txt
for part in 0 1 2 3 4; do
  xz -dc ../shared/data/corpus/corpus-0$part.txt.xz | LC_ALL=C grep -aE '.{18}' | shuf --random-source=<(yes) -n 20000 >> $work/texts.txt
done
python recipes/embed-base/fewer_layers.py $work/twelve 8 "$output" $work/texts.txt ${dev//--dev/}
xz -dc ../shared/data/corpus/corpus-00.txt.xz | sed -n '1,10000p' > $work/lines.txt
nlpkit train whitening $work/lines.txt --model "$output" --beta 0 --gamma 0 --output "$output" --quiet
