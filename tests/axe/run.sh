#!/bin/sh
# Every page of both programs under axe-core, and what it costs to open them. Needs npm (for axe-core alone, which stays in target/axe)
# and what `make test` needs. `make axe`.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p target/axe
cp tests/axe/package.json tests/axe/package-lock.json target/axe/
[ -f target/axe/node_modules/axe-core/axe.min.js ] || npm ci --silent --no-fund --no-audit --prefix target/axe
exec target/debug/axe target/axe/node_modules/axe-core/axe.min.js
