#!/usr/bin/env bash
# Removes what set-up, tests and lint made: .venv, .tools, caches and unused host images. Hosts and results stay.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$root_dir"
use_project_tools

if have podman; then
  # An image that a host was made from is in use, and Podman keeps it.
  podman images --quiet --filter reference=localhost/gpurig-host | sort -u |
    xargs -n 1 podman image rm >/dev/null 2>&1 || true
fi
rm -rf .venv .tools build .ansible .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage
find . -name __pycache__ -type d -prune -exec rm -rf {} +
