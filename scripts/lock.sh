#!/usr/bin/env bash
# Resolves requirements.in, what a service's environment lacks, and every environment's pyproject.toml, into a requirements.lock
# beside it: for every platform, with the hash of each file. Takes newer versions of indirect dependencies too when called with
# --upgrade.
set -euo pipefail
cd "$(dirname "$0")/.."

for file in requirements roles/services/files/nanochat/requirements; do
  .venv/bin/uv pip compile "$file.in" --output-file "$file.lock" --python-version 3.11 \
    --custom-compile-command "make lock" --universal --generate-hashes --no-emit-index-url --quiet "$@"
done
.venv/bin/rig env lock "$@"
