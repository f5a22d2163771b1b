#!/usr/bin/env bash
# The tour: one host from nothing to results, then what there is to look at. Ends by itself.
#
#   scripts/demo.sh            take it
#   scripts/demo.sh clean      remove everything that it made
#   scripts/demo.sh env        print what a shell needs to go on with the demo's host
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$root_dir"
use_project_tools

stack_dir="$(gpurig_home)/$(sed -n 's/^name: *//p' Pulumi.yaml)/demo"
state_dir="$(gpurig_home)/demo-state"

# The demo stack holds no secret. Its passphrase is in the open, and its state stays on this machine.
export GPURIG_STACK=demo PULUMI_CONFIG_PASSPHRASE=demo PULUMI_BACKEND_URL="file://$state_dir"
export PULUMI_SKIP_UPDATE_CHECK=true

main() {
  case ${1:-} in
    clean) clean ;;
    env) environment ;;
    '') tour ;;
    *) die "unknown argument: $1 (use clean, env or none)" ;;
  esac
}

tour() {
  private_dir "$state_dir"

  show "Stand the host up: a local container that behaves like a small machine"
  run rig up --yes

  show "Configure it: users, SSH, environment, services"
  run ansible-playbook playbooks/site.yml

  show "Prove that it works"
  run rig verify demo

  show "Use it: the example project goes up, trains there, and its results come back"
  run_in examples/digits rig sync demo
  run_in examples/digits rig train demo train.py --epochs 40
  run rig results demo

  show "Done in $SECONDS s. What there is now"
  cat <<END
  results    $(newest_run)
             curve.png, metrics.json, the model, TensorBoard's log, and how the run was started
  report     $stack_dir/reports/demo/latest.html

  To look around, first:  eval "\$(scripts/demo.sh env)"
  host       rig status               what there is
             rig connect demo         a shell on it
             rig open jupyter         Jupyter Lab through a tunnel, with its token
  again      cd examples/digits && rig train demo train.py --epochs 80
             rig rebuild demo         end the host and bring it back to the same state
  remove     make demo-clean
END
}

newest_run() {
  local runs=("$stack_dir"/runs/demo/*/)
  printf '%s\n' "${runs[${#runs[@]} - 1]}"
}

environment() {
  local name
  # shellcheck disable=SC2016 # the shell that reads it expands $PATH
  printf 'export PATH=%q:%s\n' "$root_dir/.venv/bin:$root_dir/.tools/pulumi/bin" '"$PATH"'
  for name in GPURIG_STACK PULUMI_BACKEND_URL PULUMI_CONFIG_PASSPHRASE PULUMI_SKIP_UPDATE_CHECK; do
    printf 'export %s=%q\n' "$name" "${!name}"
  done
}

# Results of the demo are given up: another run makes them again.
clean() {
  if [ -d "$stack_dir" ] || [ -d "$state_dir" ]; then
    private_dir "$state_dir"
    GPURIG_DISCARD_RESULTS=demo run rig down --yes
    rm -rf "$stack_dir" "$state_dir"
  fi
  say "Nothing of the demo is left; your keys stay in $(gpurig_home). \`make clean\` removes .venv, .tools and the host image as well."
}

show() { if [ -t 1 ]; then printf '\n\033[1m# %s\033[0m\n' "$*"; else printf '\n# %s\n' "$*"; fi; }

run() {
  printf '$ %s\n' "$*"
  "$@"
}

run_in() {
  printf '$ cd %s\n' "$1"
  (cd "$1" && shift && run "$@")
}

main "$@"
