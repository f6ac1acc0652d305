#!/bin/sh
# What is compiled into a program besides its own code, under which licences, and their texts:
#
#   packaging/third-party.sh PACKAGE >FILE
#
# The same text for the same Cargo.lock. Fails where a library says no licence, or its source is not there.
set -eu
export LC_ALL=C
package=$1
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo tree --locked --offline --quiet -p "$package" -e normal --prefix none --no-dedupe --format '{p}|{l}|{r}' |
    sed 's/ (proc-macro)//' | grep -v '(/' | sort -u >"$work/all"
[ "$(wc -l <"$work/all")" -gt 50 ] || { echo "third-party.sh: $package has hardly any libraries; is it the right name?" >&2; exit 1; }

echo "Libraries that are compiled into $package"
echo
: >"$work/index"
while IFS='|' read -r named licence home; do
    name=${named%% v*}
    version=${named##* v}
    [ -n "$licence" ] || { echo "third-party.sh: $name $version says no licence" >&2; exit 1; }
    printf '%s %s\n    %s\n' "$name" "$version" "$licence"
    [ -z "$home" ] || printf '    %s\n' "$home"
    source=
    for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-$version"; do
        [ -d "$folder" ] && source=$folder
    done
    [ -n "$source" ] || { echo "third-party.sh: the source of $name $version is not there; run cargo fetch --locked" >&2; exit 1; }
    # What is in it of others has its licence further down.
    find "$source" -maxdepth 4 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'copyright*' -o -iname 'notice*' -o -iname 'unlicense*' \) \
        ! -name '*.rs' ! -name '*.html' ! -name '*.tmpl' ! -name '*.toml' ! -name '*.py' | sort >"$work/texts"
    while read -r text; do
        digest=$(sha256sum <"$text" | cut -d' ' -f1)
        cp "$text" "$work/$digest.text"
        printf '%s %s %s\n' "$digest" "$name" "$version" >>"$work/index"
    done <"$work/texts"
done <"$work/all"

sort -u "$work/index" | cut -d' ' -f1 | uniq | while read -r digest; do
    printf '\n%s\n' "--------------------------------------------------------------------------------"
    sort -u "$work/index" | sed -n "s/^$digest //p" | sed 's/^/of /'
    echo
    cat "$work/$digest.text"
done
