#!/usr/bin/env bash
# A day with a GPU: every kernel's tests on it, then training and lists by
# every solver on planted ratings beside the device's own bandwidth and arithmetic rate, then, where
# Python has PyTorch, its training loop on the same ratings and card. Runs in a folder that pack.sh
# made; writes gpu.md, gpu.json and logs to $OUT.
#
# All sizes are variables, so that it can be tried small: RATINGS=200000 USERS=2000 ITEMS=500 ./day.sh
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
OUT=${OUT:-$here/out}
RATINGS=${RATINGS:-100000000}
USERS=${USERS:-480000}
ITEMS=${ITEMS:-17800}
FACTORS=${FACTORS:-32,64,128}
SOLVERS=${SOLVERS:-sgd,adagrad,adam,als,ials,bayes}
EPOCHS=${EPOCHS:-3}
LISTS=${LISTS:-20}
BATCHES=${BATCHES:-65536 4096} # of adam at 32 factors, beside PyTorch's
PARTS=${PARTS:-tests bench loop lists}
ADAPTER=${ADAPTER:-}           # part of its name; the best hardware where it is empty
SECONDS_A_STEP=${SECONDS_A_STEP:-240}
mkdir -p "$OUT"
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}${LD_LIBRARY_PATH:+:}$here/lib"
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp}
wgmf=$here/bin/wgmf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
device=(--backend gpu)
if [ -n "$ADAPTER" ]; then
    device+=(--adapter "$ADAPTER")
    export WGMF_ADAPTER=$ADAPTER
fi
# Where the driver lies beside the loader's usual places.
driver=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
if [ -z "${VK_DRIVER_FILES:-}" ] && [ -f "$driver" ] && "$wgmf" devices --json | grep -q '"adapters":\[\]'; then
    export VK_DRIVER_FILES=$driver
fi

has() { case " $PARTS " in *" $1 "*) true ;; *) false ;; esac; }
note() { echo "[$SECONDS s] $*" >&2; }
# A step of its own: at most so many seconds, its output to a log and to the report.
step() { # name, command...
    local name=$1
    shift
    note "$name"
    timeout "$SECONDS_A_STEP" "$@" >"$OUT/$name.txt" 2>"$OUT/$name.log"
    local status=$?
    [ $status = 0 ] || { echo "(ended with $status)" >>"$OUT/$name.txt"; tail -n 20 "$OUT/$name.log" >&2; }
    return $status
}

md=$OUT/gpu.md
json=$OUT/gpu.json
{
    echo "# wgmf on a GPU"
    echo
    echo "wgmf $(cat "$here/version" 2>/dev/null), benches/gpu/day.sh"
    echo '```'
    "$wgmf" devices
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader 2>/dev/null
    echo '```'
} >"$md"
printf '{"devices":%s' "$("$wgmf" devices --json)" >"$json"

if has tests; then
    printf '\n## Tests of every kernel\n\n```\n' >>"$md"
    printf ',"tests":[' >>"$json"
    comma=
    for test in "$here"/tests/*; do
        name=$(basename "$test")
        if step "test-$name" "$test"; then ok=true; else ok=false; fi
        said=$(grep -h '^test result' "$OUT/test-$name.txt" | tail -n 1)
        echo "$name: ${said:-no result}" >>"$md"
        printf '%s{"name":"%s","ok":%s}' "$comma" "$name" "$ok" >>"$json"
        comma=,
    done
    printf ']' >>"$json"
    echo '```' >>"$md"
fi

# Shows a table, and keeps its numbers.
bench() { # name, title, arguments...
    local name=$1 title=$2
    shift 2
    step "$name" "$wgmf" bench --data "$work/planted.csv" "${device[@]}" --profile \
        --save "$OUT/$name.json" "$@"
    printf '\n## %s\n\n```\nwgmf bench %s\n\n' "$title" "$*" >>"$md"
    cat "$OUT/$name.txt" >>"$md"
    echo '```' >>"$md"
    if [ -s "$OUT/$name.json" ]; then
        printf ',"%s":%s' "$name" "$(cat "$OUT/$name.json")" >>"$json"
        rm "$OUT/$name.json"
    fi
}

if has bench || has loop || has lists; then
    step planted "$wgmf" synth --users "$USERS" --items "$ITEMS" --ratings "$RATINGS" \
        -o "$work/planted.csv"
    printf '\n## Planted ratings\n\n```\n' >>"$md"
    cat "$OUT/planted.txt" >>"$md"
    echo '```' >>"$md"
fi
if has bench; then
    bench bench "Solvers" --solver "$SOLVERS" --factors "$FACTORS" --epochs "$EPOCHS" --lists "$LISTS"
    for batch in $BATCHES; do
        bench "adam-$batch" "adam, batches of $batch" --solver adam --factors 32 --epochs "$EPOCHS" \
            --batch-size "$batch"
    done
fi
if has loop && python3 -c 'import torch' 2>/dev/null; then
    step loop python3 "$here/loop.py" "$work/planted.csv" --users "$USERS" --items "$ITEMS" \
        --batches "$BATCHES" --json "$OUT/loop.json"
    printf '\n## PyTorch: the same model, loss and ratings\n\n```\n' >>"$md"
    cat "$OUT/loop.txt" >>"$md"
    echo '```' >>"$md"
    if [ -s "$OUT/loop.json" ]; then
        printf ',"loop":%s' "$(cat "$OUT/loop.json")" >>"$json"
        rm "$OUT/loop.json"
    fi
fi
if has lists; then
    step train "$wgmf" train "$work/planted.csv" "${device[@]}" --solver als --factors 64 \
        --epochs 2 --model "$work/model"
    began=$(date +%s.%N)
    step recommend "$wgmf" recommend "$work/model" --all -n "$LISTS" "${device[@]}"
    took=$(echo "$(date +%s.%N) $began" | awk '{ printf "%.2f", $1 - $2 }')
    lines=$(wc -l <"$OUT/recommend.txt")
    rm -f "$OUT/recommend.txt"
    printf '\n## From a file to lists of all users\n\n```\n' >>"$md"
    cat "$OUT/train.log" "$OUT/recommend.log" >>"$md"
    echo "exact lists of all users, written as text: $lines lines in $took s" >>"$md"
    echo '```' >>"$md"
    printf ',"recommend":{"lines":%s,"seconds":%s}' "$lines" "$took" >>"$json"
fi
printf ',"seconds":%s}\n' "$SECONDS" >>"$json"
note "done: $md"
