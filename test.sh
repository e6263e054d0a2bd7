#!/usr/bin/env bash
# Runs every test. Installs what tests need and the machine lacks: a Vulkan adapter (Mesa's software
# one) and, where Python is present, the packages whose readers check the exports.
set -euo pipefail
cd "$(dirname "$0")"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Without it Mesa complains on standard error at every device.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"

cargo build --release

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

# Python reads the exports back, where there is a Python.
if command -v python3 >/dev/null; then
    requirements=tests/readers/requirements.txt
    if ! cmp -s "$requirements" .venv/requirements.txt; then
        if python3 -m venv .venv && .venv/bin/pip install -q -r "$requirements"; then
            cp "$requirements" .venv/requirements.txt
        else
            echo "no Python packages: the tests that read exports with Python will be skipped" >&2
            rm -rf .venv
        fi
    fi
else
    echo "no python3: the tests that read exports with Python will be skipped"
fi

# Every shader and every use of it, on two cores in a few minutes.
cargo test --release "$@"
