#!/usr/bin/env bash
# The article's experiment on Last.fm plays, and what a transform changes: mean over seeds 0 to 9 of
# held-out squared error / that of predicting the training mean, in the unit that is trained on.
#
#   benches/lastfm.sh hetrec2011-lastfm-2k/user_artists.dat [path of wgmf]
set -euo pipefail
data=$1
wgmf=${2:-target/release/wgmf}
model=$(mktemp -d)/model

mean() {
    for seed in 0 1 2 3 4 5 6 7 8 9; do
        "$wgmf" train "$data" --min-item-ratings 5 --holdout 0.3 --seed "$seed" "$@" \
            --progress json --model "$model" --force 2>/dev/null | tail -n 1 |
            sed 's/.*"test_relative_squared_error":\([0-9.e-]*\).*/\1/'
    done | awk '{ sum += $1 } END { printf "%.4f", sum / NR }'
}

article="--transform zscore --factors 40 --solver sgd --momentum 0.9 --batch-size 32"
biases="--factors 0"
# Options are words without blanks: splitting them is meant.
# shellcheck disable=SC2086
{
    echo "raw plays, the article's settings:  $(mean $article --epochs 5 --learning-rate 0.01)"
    echo "raw plays, biases alone:            $(mean --transform zscore --solver sgd --momentum 0.9 --batch-size 32 --epochs 5 --learning-rate 0.01 $biases)"
    echo "log1p plays, no settings:           $(mean --transform log1p)"
    echo "log1p plays, biases alone:          $(mean --transform log1p $biases)"
}
