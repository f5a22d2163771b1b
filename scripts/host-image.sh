#!/usr/bin/env bash
# Builds the image that the `container` provider makes hosts from: Debian as on a small
# cloud machine, with systemd and sshd.
#
#   scripts/host-image.sh          build it unless it is there, and print its name
#   scripts/host-image.sh --tag    print its name only
#
# The name ends in a hash of the recipe, so a changed recipe is a new image.
# GPURIG_IMAGE_RELEASE chooses Debian's release: bookworm (default) or trixie.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

release=${GPURIG_IMAGE_RELEASE:-bookworm}

# python3-apt and python3-venv are what Ansible's apt module and Debian's users expect of a machine.
packages=(
  ca-certificates dbus iproute2 less libpam-systemd openssh-server procps python3 python3-apt python3-venv rsync sudo
  systemd systemd-sysv tzdata
)

# Runs inside the new system. Host keys, machine id and name belong to a host, not to the image.
customize=$(
  cat <<'END'
set -eu
useradd --create-home --shell /bin/bash dev
usermod --password '*' dev
usermod --password '*' root
install -d -m 0700 /root/.ssh
install -d -m 0700 -o dev -g dev /home/dev/.ssh
echo 'dev ALL=(ALL:ALL) NOPASSWD:ALL' > /etc/sudoers.d/90-dev
chmod 0440 /etc/sudoers.d/90-dev
echo 'LANG=C.UTF-8' > /etc/default/locale
rm -f /etc/ssh/ssh_host_*
: > /etc/machine-id
: > /etc/hostname
: > /etc/resolv.conf
systemctl mask --quiet console-getty.service systemd-firstboot.service
# Without it, a login within two minutes after the last logout hangs where the kernel still has version 1 cgroups: there,
# systemd in a container does not notice that the user's own systemd has ended.
install -d /var/lib/systemd/linger
: > /var/lib/systemd/linger/dev
END
)

# systemd stops on this signal; as a list, the command is process 1 and no shell is.
settings=(--change 'STOPSIGNAL=SIGRTMIN+3' --change 'CMD=["/sbin/init"]')

main() {
  case ${1:-} in
    --tag) image_name ;;
    --locked) build_once ;;
    '') one_at_a_time ;;
    *) die "unknown argument: $1 (use --tag or none)" ;;
  esac
}

image_name() {
  local recipe
  recipe=$(printf '%s\n' "$release" "${packages[*]}" "$customize" "${settings[*]}" | digest)
  printf 'localhost/gpurig-host:%s\n' "${recipe:0:12}"
}

# A second build waits for the first and finds its image. The lock is the user's, as Podman's images are.
one_at_a_time() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/gpurig
  have podman || die "Podman is missing: run \`make setup\`."
  use_project_tools
  have flock || { build_once; return; } # not on macOS, where two builds at once only cost time
  private_dir "$cache"
  exec flock --close "$cache/image.lock" "$0" --locked
}

build_once() {
  local image
  image=$(image_name)
  podman image exists "$image" 2>/dev/null || build "$image"
  printf '%s\n' "$image"
}

# The archive is complete before Podman sees it: an interrupted build leaves no image.
build() {
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
  chmod 0755 "$work" # mmdebstrap enters it as another user when it is not root
  say "Building host image $1 (Debian $release, about half a minute) …"
  make_archive "$work/image.tar" >"$work/log" 2>&1 || die "building the host image failed:
$(tail -n 15 "$work/log")"
  podman import --quiet "${settings[@]}" "$work/image.tar" "$1" >/dev/null
}

make_archive() {
  local include options
  include=$(IFS=,; printf '%s' "${packages[*]}")
  # shellcheck disable=SC2016 # mmdebstrap's shell expands $1, the new system's folder
  options=(--variant=minbase --include="$include" --customize-hook='chroot "$1" sh -c "$CUSTOMIZE"')
  if have mmdebstrap; then
    CUSTOMIZE=$customize mmdebstrap "${options[@]}" "$release" "$1"
  else # macOS
    podman run --rm --privileged --env CUSTOMIZE="$customize" debian:bookworm sh -euc '
      { apt-get update && apt-get install --yes --no-install-recommends mmdebstrap; } >&2
      mmdebstrap --format=tar "$@" -' sh "${options[@]}" "$release" >"$1"
  fi
}

main "$@"
