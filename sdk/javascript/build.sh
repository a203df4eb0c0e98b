#!/usr/bin/env bash
# Packs the JavaScript client: dist/manifest-auth-client-VERSION.tgz below the root of the repository, or in the folder
# that is given. Prints the file. ./dev sdk calls it. $PYTHON, else that of ./dev, makes src/wire.d.ts, the types of the
# wire, from the routes of the server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
into=${1:-../../dist}
mkdir -p "$into"
into=$(cd "$into" && pwd)
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
cp -r package.json README.md CHANGELOG.md src ../../LICENSE "$staged"
(cd ../.. && "${PYTHON:-.venv/bin/python}" -m tests.sdk_javascript.wire_types "$staged/src/wire.d.ts")
rm -f "$into"/manifest-auth-client-*.tgz
name=$(cd "$staged" && npm pack --silent --ignore-scripts --pack-destination "$into")
echo "$into/$name"
