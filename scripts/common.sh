# shellcheck shell=bash
# What the scripts share. Sourced, never run.

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

die() {
  say "gpurig: $*"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

private_dir() { (umask 077 && mkdir -p "$1"); }

on_macos() { [ "$(uname -s)" = Darwin ]; }

# The folder of all that is the user's alone: the same one as gpurig.stack.home().
gpurig_home() {
  if [ -n "${GPURIG_HOME:-}" ]; then
    printf '%s\n' "$GPURIG_HOME"
  elif on_macos; then
    printf '%s\n' "$HOME/Library/Application Support/gpurig"
  else
    printf '%s\n' "${XDG_DATA_HOME:-$HOME/.local/share}/gpurig"
  fi
}

# The project's own programs first; and Podman with our settings where its defaults cannot start a container.
use_project_tools() {
  export PATH="$root_dir/.venv/bin:$root_dir/.tools/pulumi/bin:$PATH"
  local settings
  settings=$(gpurig_home)/containers.conf
  if [ -z "${CONTAINERS_CONF:-}" ] && [ -f "$settings" ]; then export CONTAINERS_CONF="$settings"; fi
}

digest() {
  if have sha256sum; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}
