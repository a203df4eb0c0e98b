#!/usr/bin/env bash
# Packs the JavaScript client, without a registry: dist/manifest-auth-client-VERSION.tgz below the root of the repository,
# or in the folder that is given. Prints the file. The types of the wire are made by
#   python -m tests.sdk_javascript.wire_types
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
into=${1:-../../dist}
mkdir -p "$into"
into=$(cd "$into" && pwd)
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
cp -r package.json README.md CHANGELOG.md src ../../LICENSE "$staged"
rm -f "$into"/manifest-auth-client-*.tgz
name=$(cd "$staged" && npm pack --silent --ignore-scripts --pack-destination "$into")
echo "$into/$name"
