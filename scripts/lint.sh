#!/usr/bin/env bash
# Checks the form of everything in the repository and stops at the first thing found.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$root_dir"
use_project_tools

main() {
  check "ruff: Python" ruff check --quiet
  check "ruff: format" ruff format --quiet --check
  check "mypy: types" mypy --no-error-summary
  check "yamllint: YAML" yamllint --strict .
  check "ansible-lint: playbooks and roles" ansible-lint -q
  # shellcheck disable=SC2046 # one word per script
  check "shellcheck: scripts" shellcheck --external-sources $(shell_scripts)
}

check() {
  say "lint: $1"
  shift
  "$@" || die "lint found the above. To see it again: .venv/bin/$*"
}

shell_scripts() { git ls-files --cached --others --exclude-standard | grep -E '^(scripts/.*\.sh|\.ci/run)$'; }

main
