#!/usr/bin/env bash
# with-tools.sh COMMAND …: runs it with the project's own programs first on PATH, and Podman as it works here.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
use_project_tools
exec "$@"
