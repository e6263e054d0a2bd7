#!/usr/bin/env bash
# Builds the documentation site into target/site/html: the pages beside this file, the reference of the command line
# from `wgmf --help`, that of the package for Python from its docstrings. Warnings are errors. Takes the package where
# python/build.sh has installed it, and calls that where it has not. Ends with 75 where it cannot be built.
set -euo pipefail
cd "$(dirname "$0")/../.."

python="${PYTHON:-python3}"
home="$PWD/target/site"
package="$PWD/target/python/fresh"
if [ ! -x "$package/bin/wgmf" ]; then
    python/build.sh --collect-only
fi
if ! cmp -s docs/site/requirements.txt "$home/tools/requirements.txt"; then
    rm -rf "$home/tools"
    if ! { "$python" -m venv "$home/tools" && "$home/tools/bin/pip" install -q -r docs/site/requirements.txt; }; then
        rm -rf "$home/tools"
        echo "Sphinx and what goes with it, of docs/site/requirements.txt, cannot be had" >&2
        exit 75
    fi
    cp docs/site/requirements.txt "$home/tools/requirements.txt"
fi

rm -rf "$home/source" "$home/html"
mkdir -p "$home/source"
cp docs/site/*.md docs/site/conf.py "$home/source"
"$package/bin/python" docs/site/commands.py "$package/bin/wgmf" >"$home/source/commands.md"
# Docstrings are read from the package that is installed.
PYTHONPATH="$("$package/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')" \
    "$home/tools/bin/sphinx-build" -q -W --keep-going -b html "$home/source" "$home/html"
echo "the site: $home/html/index.html"
