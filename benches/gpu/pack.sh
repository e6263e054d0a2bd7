#!/usr/bin/env bash
# Packs what a machine with a GPU driver and no toolchain needs to test and measure wgmf there: the
# stripped binary, the tests of every kernel, the Vulkan loader, and day.sh, which runs them.
#
#   benches/gpu/pack.sh FOLDER
#   then, over there: FOLDER/day.sh
#
# On x86-64 Debian or Ubuntu; the other machine's C library must be no older than this one's.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."

# Those that need neither the repository nor the binary there.
tests=(kernels)

cargo build --release
mkdir -p "$folder/bin" "$folder/tests" "$folder/lib"
strip -o "$folder/bin/wgmf" target/release/wgmf
for test in "${tests[@]}"; do
    binary=$(cargo test --release --no-run --test "$test" 2>&1 | sed -n 's/.*Executable.*(\(.*\))$/\1/p')
    strip -o "$folder/tests/$test" "$binary"
done

# The loader that finds the driver; a machine without a desktop may lack it.
loader=$(ldconfig -p | awk '/libvulkan\.so\.1 / && /x86-64/ { print $NF; exit }')
if [ -n "$loader" ]; then
    cp -L "$loader" "$folder/lib/libvulkan.so.1"
else
    echo "no libvulkan.so.1 here: the other machine must have its own" >&2
fi
cp benches/gpu/day.sh benches/gpu/loop.py "$folder"
git describe --always --dirty > "$folder/version"
du -sh "$folder"
