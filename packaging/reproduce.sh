#!/bin/sh
# Whether the same packages come of the same sources, wherever they are built: packs what is committed in two folders whose names
# differ in length, and compares byte by byte.
#
#   packaging/reproduce.sh
#
# The same rustc, C compiler and cargo-deb are taken both times; other versions of them make other packages. Takes twice as long as
# make deb, and some 10 GB below target/reproduce, which are removed when the packages are equal.
set -eu
cd "$(dirname "$0")/.."
work=$PWD/target/reproduce
rm -rf "$work"
mkdir -p "$work"
rustc --version
${CC:-cc} --version | head -n 1
cargo deb --version | sed 's/^/cargo-deb /'
for folder in one another-with-a-longer-name; do
    git clone --quiet --no-hardlinks . "$work/$folder"
    # Not where this tree's own is, should somebody have set that.
    env -u CARGO_TARGET_DIR make -C "$work/$folder" deb PACK=dist >"$work/$folder.log" 2>&1 || {
        tail -n 20 "$work/$folder.log" >&2
        echo "reproduce.sh: make deb failed in $work/$folder" >&2
        exit 1
    }
done
differ=0
for package in "$work"/one/target/debian/*.deb; do
    name=$(basename "$package")
    other=$work/another-with-a-longer-name/target/debian/$name
    if cmp "$package" "$other"; then
        echo "ok - $(sha256sum <"$package" | cut -d' ' -f1) $name"
        continue
    fi
    differ=1
    echo "not ok - $name differs; files in it that do:"
    for one in "$package" "$other"; do
        rm -rf "$one.files"
        dpkg-deb -R "$one" "$one.files"
        (cd "$one.files" && find . -type f -exec sha256sum {} + | sort -k 2) >"$one.sums"
    done
    diff "$package.sums" "$other.sums" || true
done
[ "$differ" = 0 ] || exit 1
rm -rf "$work"
