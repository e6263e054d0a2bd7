#!/usr/bin/env bash
# Makes the wheel and tests it in a fresh environment; further arguments go to pytest. With `--checked` first it is
# built as the other tests are (see tests/checked.toml), and shares what they have built.
#
#     python/build.sh
#     python/build.sh --checked -k errors
#
# The wheel lies in target/wheels. PYTHON names another interpreter than python3. Ends with 75 where it cannot be built.
set -euo pipefail
cd "$(dirname "$0")/.."

python="${PYTHON:-python3}"
home="$PWD/target/python"
flags=(--release)
if [ "${1-}" = --checked ]; then
    shift
    flags+=(--config "$PWD/tests/checked.toml")
fi

# What builds, which is kept, and what is tested, which is made anew.
if [ ! -x "$home/tools/bin/maturin" ]; then
    if ! { "$python" -m venv --clear "$home/tools" && "$home/tools/bin/pip" install -q "maturin>=1.9,<2"; }; then
        echo "maturin, which makes the wheel, cannot be had" >&2
        exit 75
    fi
fi
rm -rf target/wheels
"$home/tools/bin/maturin" build "${flags[@]}" --locked --manifest-path python/Cargo.toml --interpreter "$python"
"$python" -m venv --clear "$home/fresh"
"$home/fresh/bin/pip" install -q target/wheels/wgmf-*.whl -r python/tests/requirements.txt
# What vectors are handed to: tests skip, and say so, what there is none of for this Python or machine.
if ! "$home/fresh/bin/pip" install -q -r python/tests/optional.txt; then
    while read -r package; do
        "$home/fresh/bin/pip" install -q "$package" || echo "$package cannot be installed" >&2
    done <python/tests/optional.txt
fi

# The installed package, from a folder that does not hold its sources; the examples of its documentation too.
export WGMF_REPOSITORY="$PWD" PYTHONSAFEPATH=1
"$home/fresh/bin/python" -m pytest -q -c python/pyproject.toml --rootdir python python/tests "$@"
