#!/usr/bin/env bash
# Gets everything that gpurig and its tests use. Run it again at any time: what is there is skipped.
#
#   scripts/setup.sh                   everything
#   scripts/setup.sh --retry-pulumi    the same, and try again for Pulumi's CLI, which is else tried once a day
#
# It installs system packages with apt or Homebrew, and all else into .tools/ and .venv/ of this folder.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$root_dir"

export UV_SYSTEM_CERTS=1 # a company's own certificate authority is in the system's store
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME

uv_version=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
pulumi_version=$(sed -n 's/^pulumi==\([0-9.]*\).*/\1/p' requirements.lock)
pulumi_refused=.tools/pulumi-refused

main() {
  case ${1:-} in
    --retry-pulumi) rm -f "$pulumi_refused" ;;
    '') ;;
    *) die "unknown argument: $1 (use --retry-pulumi or none)" ;;
  esac
  step "system packages" has_system_packages install_system_packages
  if on_macos; then step "Podman's machine" has_podman_machine start_podman_machine; fi
  step "uv $uv_version in .tools" has_uv install_uv
  step "Python packages in .venv" has_python_packages install_python_packages
  use_project_tools
  step "Pulumi's CLI $pulumi_version" has_pulumi install_pulumi
  step "host image" has_host_image build_host_image
  step "Podman starts containers" podman_starts_containers configure_podman
}

# step NAME CHECK ACTION: what the check finds is not done again. A check may leave a note.
step() {
  local note=
  if "$2"; then
    say "✓ $1$note"
  else
    say "→ $1"
    "$3"
  fi
}

# --- system packages --------------------------------------------------------------------------------------------------

# Program or file, and the package it is in. Looking for programs leaves alone what was installed another way, such as
# Docker's own runc.
apt_packages() {
  cat <<'END'
curl                                              curl
git                                               git
make                                              make
mmdebstrap                                        mmdebstrap
newuidmap                                         uidmap
podman                                            podman
python3                                           python3
rsync                                             rsync
runc                                              runc
shellcheck                                        shellcheck
ssh                                               openssh-client
/etc/ssl/certs/ca-certificates.crt                ca-certificates
/usr/share/keyrings/debian-archive-keyring.gpg    debian-archive-keyring
END
  printf '%s python3-venv\n' "$(ensurepip)"
}

brew_packages() {
  printf '%s %s\n' git git podman podman python3 python rsync rsync shellcheck shellcheck
}

# Where Python's ensurepip is; Debian keeps it in a package of its own.
ensurepip() { python3 -c 'import ensurepip; print(ensurepip.__path__[0])' 2>/dev/null || echo /missing; }

missing_packages() {
  local thing package
  while read -r thing package; do
    case $thing in
      /*) [ -e "$thing" ] || echo "$package" ;;
      *) PATH=$PATH:/usr/sbin:/sbin have "$thing" || echo "$package" ;;
    esac
  done
}

has_system_packages() {
  if on_macos; then missing=$(brew_packages | missing_packages); else missing=$(apt_packages | missing_packages); fi
  missing=$(echo "$missing" | tr '\n' ' ')
  [ -z "${missing// /}" ]
}

install_system_packages() {
  local log=.tools/packages.log
  say "  installing: $missing"
  mkdir -p .tools
  # shellcheck disable=SC2086 # one word per package
  if have apt-get; then
    { as_root apt-get update --quiet=2 && apt_install $missing; } >"$log" 2>&1 || die "apt could not install them:
$(tail -n 5 "$log")"
  elif on_macos && have brew; then
    brew install --quiet $missing
  else
    die "this system has neither apt nor Homebrew. Install these yourself and run again: $missing"
  fi
  has_system_packages || die "still missing after the installation: $missing"
}

# Never removes a package of the user's to make room; waits for an upgrade of the system that is under way.
apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-remove \
    -o APT::Install-Recommends=true -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    die "not root, and sudo is missing. As root, install: $missing"
  fi
}

# --- Python -----------------------------------------------------------------------------------------------------------

has_uv() { [ "$(.tools/uv/bin/uv --version 2>/dev/null | cut -d ' ' -f 2)" = "$uv_version" ]; }

install_uv() {
  mkdir -p .tools
  python3 -m venv --clear .tools/uv
  # The lock's own lines about uv: its version and hashes.
  sed -n '/^uv==/,/^[^ ]/{/^uv==/p;/^ *--hash/p;}' requirements.lock >.tools/uv/requirements.txt
  .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement .tools/uv/requirements.txt ||
    die "uv was not installed, see above. pip's own settings apply (index, proxy, certificates)."
}

# An editable installation names this folder, so a moved project is installed again.
python_packages_key() { { pwd && cat requirements.lock pyproject.toml; } | digest; }

has_python_packages() {
  [ -x .venv/bin/python ] && [ "$(cat .venv/.complete 2>/dev/null)" = "$(python_packages_key)" ]
}

install_python_packages() {
  local uv=.tools/uv/bin/uv
  rm -f .venv/.complete
  # ansible-core 2.19 runs on Python 3.11 to 3.13; where the system has none of them, uv fetches one.
  [ -x .venv/bin/python ] || "$uv" venv --quiet --clear --python '>=3.11,<3.14' .venv
  "$uv" pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock ||
    die "the Python packages were not installed, see above. uv's own settings apply (index, proxy, certificates)."
  "$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
  python_packages_key >.venv/.complete
}

# --- Pulumi -----------------------------------------------------------------------------------------------------------

# A refusal counts for a day, so that a machine without access does not wait for it at every run.
has_pulumi() {
  [ "$(pulumi version 2>/dev/null | tr -d v)" = "$pulumi_version" ] && return
  [ -n "$(find "$pulumi_refused" -mmin -1440 2>/dev/null)" ] || return
  note=": not to be had here, the embedded engine is used"
}

install_pulumi() {
  if .venv/bin/python -c '
import signal, sys
from pulumi.automation import PulumiCommand
from semver import VersionInfo

signal.alarm(300)  # seconds
PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))
' "$root_dir/.tools/pulumi" "$pulumi_version" >.tools/pulumi.log 2>&1; then
    rm -f "$pulumi_refused"
  else
    touch "$pulumi_refused"
    say "  cannot be fetched here: the embedded engine will be used (\`make setup-pulumi\` tries again)"
  fi
}

# --- Podman -----------------------------------------------------------------------------------------------------------

has_podman_machine() { [ "$(podman machine inspect --format '{{.State}}' 2>/dev/null)" = running ]; }

start_podman_machine() {
  podman machine inspect >/dev/null 2>&1 || podman machine init
  podman machine start
}

has_host_image() { podman image exists "$(scripts/host-image.sh --tag)" 2>/dev/null; }

build_host_image() { scripts/host-image.sh >/dev/null; }

podman_starts_containers() {
  trial=$(podman run --rm --pull never "$(scripts/host-image.sh --tag)" true 2>&1)
}

# Settings of our own for where Podman's fail: crun on hybrid cgroups, and limits above those of an unprivileged root.
configure_podman() {
  local settings before=$trial
  settings=$(gpurig_home)/containers.conf
  private_dir "$(gpurig_home)"
  cat >"$settings" <<'END'
# Written by gpurig's set-up because Podman could not start a container with its defaults here.
[containers]
default_ulimits = ["nofile=1024:20000", "nproc=10000:10000"]
[engine]
runtime = "runc"
END
  use_project_tools
  if podman_starts_containers; then
    say "  not with its defaults here; gpurig uses $settings for it"
  else
    rm -f "$settings"
    die "Podman cannot start a container: $before
What helps most often: \`podman info\` without an error, and for a user other than root subordinate ids:
  sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un) && podman system migrate"
  fi
}

main "$@"
