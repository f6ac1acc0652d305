#!/bin/sh
# Draws the app's icons as PNG out of icon.svg, for phones that take no SVG: `sh pages/assets/icons.sh`. Needs chromium. The maskable
# one fills its square, as systems cut it into shapes of their own, and keeps what matters in the middle.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
draw() { # name, pixels, svg
  printf '<!doctype html><style>html,body{margin:0}svg{display:block;width:%spx;height:%spx}</style>%s' "$2" "$2" "$3" > "$work/icon.html"
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1 --default-background-color=00000000 \
    --user-data-dir="$work/profile" --window-size="$2,$2" --screenshot="$here/$1" "file://$work/icon.html" > /dev/null 2>&1
}
plain=$(cat "$here/icon.svg")
full=$(sed -e 's/viewBox="0 0 32 32"/viewBox="-4 -4 40 40"/' -e 's/<rect [^>]*\/>/<rect x="-4" y="-4" width="40" height="40" fill="#1f4fa3"\/>/' "$here/icon.svg")
draw icon-192.png 192 "$plain"
draw icon-512.png 512 "$plain"
draw icon-maskable-512.png 512 "$full"
