#!/usr/bin/env bash
# Runs every test, or with `quick` as its first argument those that together take less than a minute
# once they are built; further arguments go to cargo test (`./test.sh --test kernels -- gram`). Installs
# what tests need and the machine lacks: a Vulkan adapter (Mesa's software one) and, where Python is
# present, the packages whose readers check the exports. Says at the end what was skipped.
set -euo pipefail
cd "$(dirname "$0")"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Without it Mesa complains on standard error at every device.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"

# How tests are built: see there. Where all of them run and Python is present, with its extension, so that both share
# what they are made of.
built=(--release --config tests/checked.toml)
if [ "$#" = 0 ] && command -v python3 >/dev/null; then
    built+=(-p wgmf -p wgmf-python)
fi
cargo build "${built[@]}"

# GPU tests run on whatever adapter there is, and fail without one.
if ./target/release/wgmf devices --json | grep -q '"adapters":\[\]'; then
    echo "no Vulkan adapter: installing Mesa's software one"
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mesa-vulkan-drivers
    else
        echo "install a Vulkan driver (Mesa's lavapipe will do), then run this again" >&2
        exit 1
    fi
fi

# What tests could not look at, which they say here: the output of one that passes is not shown.
WGMF_SKIPPED="$(mktemp)"
export WGMF_SKIPPED
tell() {
    sort -u "$WGMF_SKIPPED" >&2
    rm -f "$WGMF_SKIPPED"
}
trap tell EXIT

if [ "${1-}" = quick ]; then
    shift
    cargo test "${built[@]}" --lib --bins --test house "$@"
    # Every comparison on the CPU; on a GPU, kernels that are soon compiled.
    cargo test "${built[@]}" --test kernels "$@" -- \
        twins::cpu:: twins::gpu::rank:: twins::gpu::gradient::step twins::gpu::latent::
    cargo test "${built[@]}" --test cli "$@" -- devices:: predict:: split:: the_default_run
    exit
fi

# Python reads the exports back, where there is a Python.
if command -v python3 >/dev/null; then
    requirements=tests/readers/requirements.txt
    if ! cmp -s "$requirements" .venv/requirements.txt; then
        if python3 -m venv .venv && .venv/bin/pip install -q -r "$requirements"; then
            cp "$requirements" .venv/requirements.txt
        else
            echo "no Python packages could be installed" >&2
            rm -rf .venv
        fi
    fi
else
    echo "no python3: the tests that read exports with Python will be skipped"
fi

# PostgreSQL with pgvector, as PGlite has it, loads the export, where there is Node.
pglite=(@electric-sql/pglite@0.5.14 @electric-sql/pglite-pgvector@0.0.15)
if command -v npm >/dev/null && [ ! -d .venv/node_modules/@electric-sql/pglite-pgvector ]; then
    npm install --silent --no-save --no-package-lock --prefix .venv "${pglite[@]}" ||
        echo "no PGlite could be installed: the test that loads the pgvector export will be skipped"
fi

# A browser looks at the report.
if ! command -v chromium >/dev/null && command -v apt-get >/dev/null; then
    as_root apt-get update -qq || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium ||
        echo "no Chromium could be installed: the test that opens the report will be skipped"
fi

# Every shader and every use of it, on two cores in a few minutes.
cargo test "${built[@]}" "$@"

# The package for Python, made as all this was, in an environment of its own.
if [ "$#" != 0 ]; then
    exit
elif command -v python3 >/dev/null; then
    ended=0
    python/build.sh --checked || ended=$?
    if [ "$ended" = 75 ]; then
        echo "skipped: the package for Python, which cannot be built here" | tee -a "$WGMF_SKIPPED"
    elif [ "$ended" != 0 ]; then
        exit "$ended"
    else
        # The documentation, which describes what was just made.
        docs/site/build.sh || ended=$?
        if [ "$ended" = 75 ]; then
            echo "skipped: the documentation site, which cannot be built here" | tee -a "$WGMF_SKIPPED"
        elif [ "$ended" != 0 ]; then
            exit "$ended"
        fi
    fi
else
    echo "no python3: the package for Python is not tested" | tee -a "$WGMF_SKIPPED"
fi
