#!/bin/sh
# Whether packages are older than what they are made of:
#
#   packaging/stale.sh PACKAGE...
#
# Says the first source that is newer than one of them and succeeds; fails where none is.
set -eu
[ $# -gt 0 ] || { echo "stale.sh: name packages" >&2; exit 2; }
at=$(dirname "$0")/..
sources=$(cd "$at" && git ls-files -- Cargo.toml Cargo.lock .cargo Makefile CHANGELOG.md \
    sync-protocol chassis desk pages node hub migrations packaging | grep -v '/tests/\|^packaging/prometheus\|^packaging/grafana')
for source in $sources; do
    for package in "$@"; do
        # What the tree no longer has is newer than anything.
        if [ ! -e "$at/$source" ] || [ "$at/$source" -nt "$package" ]; then
            echo "$source"
            exit 0
        fi
    done
done
exit 1
