#!/usr/bin/env bash
# Resolves requirements.in into requirements.lock, for every platform and Python from 3.11 on. Takes newer versions of
# indirect dependencies too when called with --upgrade.
set -euo pipefail
cd "$(dirname "$0")/.."

exec .venv/bin/uv pip compile requirements.in --output-file requirements.lock "$@" \
  --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --custom-compile-command "make lock" --quiet
