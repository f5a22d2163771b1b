#!/bin/sh
# Changes sshd's configuration in steps that cannot lock anyone out. Managed by gpurig, role sshd.
#
#   change.sh try SECONDS   add the candidate as a trial on top of what is there, and start the guard
#   change.sh keep PROOF    make the candidate the configuration
#   change.sh done PROOF    call the guard off
#   change.sh restore       put back what was there before
#
# The trial lies under /run and is read first; a restart of the host ends it. It gives every new session a variable GPURIG_SSHD,
# which is the proof that `keep` and `done` ask for: only a login that the new configuration let in can show it.
# Nobody has to be connected for the guard to act: it is a process of its own on this host, and whoever renames the token first
# (guard or `done`) decides.
set -eu
umask 077

config=/etc/ssh/sshd_config
own=/etc/ssh/sshd_config.d/00-gpurig.conf
state=/etc/gpurig/sshd
run=/run/gpurig/sshd
boot=/etc/gpurig/boot.d/00-sshd-restore

main() {
  case "${1:-}" in
    try) try "$2" ;;
    keep) prove "$2" trial && keep ;;
    done) prove "$2" kept && mv "$run/token" "$run/confirmed" && clean ;;
    restore) [ ! -e "$run/token" ] || { mv "$run/token" "$run/expired" && restore; } ;;
    guard) guard "$2" "$3" ;;
    proof) sed -n 's/^SetEnv GPURIG_SSHD=//p' "$run/trial.conf" ;; # for a way in that is no SSH
    "") put_back && clean ;;                                       # the host starts in the middle of a change
    *) sed -n '2,13p' "$0" >&2 && exit 2 ;;
  esac
}

try() {
  if [ -e "$run/token" ] && [ "$(date +%s)" -lt "$(cat "$run/token")" ]; then
    echo "Another change of sshd is under way; it ends by itself within a minute or so. Run this again then." >&2
    exit 1
  fi
  # What an earlier change left behind when the host went down in the middle of it.
  if [ -e "$state/before" ]; then
    restore
  fi
  save
  install -d -m 0700 "$run"
  # Without systemd, /run outlives a restart.
  if [ ! -d /run/systemd/system ]; then
    install -d -m 0755 "${boot%/*}"
    ln -sf "$state/change.sh" "$boot"
  fi
  if ! grep -qs "^Include $run/trial.conf" "$own"; then
    printf 'Include %s/trial.conf\n' "$run" >"$own.new"
    if [ -e "$own" ]; then cat "$own" >>"$own.new"; fi
    mv "$own.new" "$own"
  fi
  if ! grep -Eqs '^[[:space:]]*Include[[:space:]]+/etc/ssh/sshd_config\.d/\*\.conf' "$config"; then
    sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' "$config"
  fi
  until=$(($(date +%s) + $1 + 5))
  { echo "SetEnv GPURIG_SSHD=trial-$until" && grep -v '^Include ' "$state/candidate.conf"; } >"$run/trial.conf"
  echo "$until" >"$run/token"
  check_or_restore
  setsid nohup "$0" guard "$1" "$until" </dev/null >/dev/null 2>&1 &
  reload
}

prove() {
  if [ ! -e "$run/token" ]; then
    echo "No change of sshd is under way: the guard has put the old configuration back." >&2
    exit 1
  fi
  if [ "$1" != "$2-$(cat "$run/token")" ]; then
    echo "This login was not let in by the new configuration." >&2
    exit 1
  fi
}

# The token of a later change is none of its business.
guard() {
  sleep "$1"
  if [ "$(cat "$run/token" 2>/dev/null)" = "$2" ] && mv "$run/token" "$run/expired" 2>/dev/null; then
    restore
  fi
}

keep() {
  install -m 0600 "$state/candidate.conf" "$own"
  # Ports add up over all files, so one that is written elsewhere could never be closed.
  for file in "$config" /etc/ssh/sshd_config.d/*.conf; do
    if [ "$file" != "$own" ] && grep -Eqi '^[[:space:]]*Port[[:space:]=]' "$file"; then
      sed -i -E 's/^[[:space:]]*Port[[:space:]=]/# Now in 00-gpurig.conf: &/I' "$file"
    fi
  done
  echo "SetEnv GPURIG_SSHD=kept-$(cat "$run/token")" >"$run/trial.conf"
  check_or_restore
  reload
}

save() {
  rm -rf "$state/before.new"
  install -d -m 0755 /etc/ssh/sshd_config.d
  install -d -m 0700 "$state/before.new"
  cp -pR "$config" /etc/ssh/sshd_config.d "$state/before.new/"
  mv "$state/before.new" "$state/before"
}

restore() {
  put_back
  reload
  clean
}

put_back() {
  if [ -e "$state/before" ]; then
    cp -p "$state/before/sshd_config" "$config"
    if [ ! -e "$state/before/sshd_config.d/00-gpurig.conf" ]; then rm -f "$own"; fi
    cp -pR "$state/before/sshd_config.d/." /etc/ssh/sshd_config.d/
  fi
  rm -rf "$run" "$boot"
}

clean() {
  rm -rf "$state/before" "$run" "$boot"
}

check_or_restore() {
  if ! problem=$(/usr/sbin/sshd -t 2>&1); then
    restore
    printf 'sshd refuses the new configuration, the old one is back: %s\n' "$problem" >&2
    exit 1
  fi
}

# Running sessions survive all of these.
reload() {
  if [ -d /run/systemd/system ] && systemctl is-active --quiet ssh.socket; then
    systemctl daemon-reload # the ports of the socket are made from sshd's configuration
    systemctl restart ssh.socket
  elif [ -s /run/sshd.pid ]; then
    kill -HUP "$(cat /run/sshd.pid)"
  else
    echo "No running sshd was found (/run/sshd.pid); it reads the configuration when it starts." >&2
  fi
}

main "$@"
