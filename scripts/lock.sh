#!/usr/bin/env bash
# Resolves requirements.in, and every environment's pyproject.toml, into a requirements.lock beside it: for every platform,
# with the hash of each file. Takes newer versions of indirect dependencies too when called with --upgrade.
set -euo pipefail
cd "$(dirname "$0")/.."

lock() {
  local source=$1
  shift
  .venv/bin/uv pip compile "$source" --output-file "$(dirname "$source")/requirements.lock" "$@" \
    --universal --generate-hashes --no-emit-index-url --quiet
}

lock requirements.in --python-version 3.11 --custom-compile-command "make lock" "$@"
for environment in environments/*/pyproject.toml; do
  lock "$environment" --no-header --no-annotate "$@" # Python's version is in the file itself
done
