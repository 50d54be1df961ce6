#!/bin/sh
# The whole chain in minutes on two cores: a teacher becomes a small 8-bit student with a card,
# comes back out of the registry into an empty cache, and answers on a picture.
set -eu

bin=$(cd "${BIN:-.venv/bin}" && pwd)
name=digits-shufflenet-v2-x0.5.kd
rm -rf demo
mkdir demo

# A registry, a store and a cache of its own: nothing of yours is touched.
export ZOO_REGISTRY="$PWD/demo/registry.yaml"
export ZOO_STORE="$PWD/demo/embedded"
export ZOO_CACHE="$PWD/demo/cache"

say() { printf '\n$ %s\n' "$*"; "$@"; }
export PATH="$bin:$PATH"

say zoo build "$name" --work demo/runs
say zoo list
say zoo pull "$name"
say python docs/digit.py demo/digit.png
say zoo run "$name" demo/digit.png
say zoo card "$name"

# A student of texts, out of the package.
unset ZOO_REGISTRY ZOO_STORE
say zoo run langid75-ngram-small.lingua --text "Wo ist der Bahnhof?" --text "Waar is het station?"
