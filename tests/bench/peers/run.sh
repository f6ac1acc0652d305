#!/bin/sh
# Our heavy work beside others at the same work, on the same photo, in one run: sharp (npm), Pillow and reportlab (PyPI).
# Needs node with npm, python3 with venv; what it installs stays in target/peers. `make peers`.
set -eu
cd "$(dirname "$0")/../../.."
here=$(pwd)
scratch=$here/target/peers
mkdir -p "$scratch"

[ -x "$scratch/venv/bin/python" ] || python3 -m venv "$scratch/venv"
"$scratch/venv/bin/python" -c 'import PIL, reportlab' 2>/dev/null || "$scratch/venv/bin/pip" install --quiet Pillow reportlab
[ -d "$scratch/node_modules/sharp" ] || npm install --silent --no-fund --no-audit --prefix "$scratch" sharp
cp tests/bench/peers/sharp.mjs "$scratch/sharp.mjs"

photo=$scratch/photo.jpg
[ -f "$photo" ] || "$scratch/venv/bin/python" tests/bench/peers/pillow.py "$photo"
echo "photo: $(wc -c < "$photo") bytes"
{
    cargo bench --quiet --locked --workspace --bench work -- "$photo"
    (cd "$scratch" && node sharp.mjs "$photo")
    "$scratch/venv/bin/python" tests/bench/peers/pillow.py "$photo" "$photo.display.jpg"
} | awk -F '\t' 'NF == 4 { printf "%-45s %-10s %8s %s\n", $1, $2, $3, $4 }'
