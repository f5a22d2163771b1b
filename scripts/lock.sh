#!/usr/bin/env bash
# Resolves requirements.in, and every environment's pyproject.toml, into a requirements.lock beside it: for every platform,
# with the hash of each file. Takes newer versions of indirect dependencies too when called with --upgrade.
set -euo pipefail
cd "$(dirname "$0")/.."

.venv/bin/uv pip compile requirements.in --output-file requirements.lock --python-version 3.11 \
  --custom-compile-command "make lock" --universal --generate-hashes --no-emit-index-url --quiet "$@"
.venv/bin/rig env lock "$@"
