#!/bin/sh
# A run on a host: `rig` starts it, looks at it and ends it through this script. It needs a POSIX shell, awk and GNU's
# coreutils and findutils, and works with systemd and without.
#
#   run.sh start RUN PROJECT PYTHON
#                               copy the project (a folder below the home) for the run and start it, detached
#   run.sh list [RUN]           one line per run: name, state, exit code, end
#   run.sh follow RUN OFFSET    its log from that byte on, until it ends
#   run.sh cancel RUN SECONDS   ask it to end, and make it after so many seconds
#   run.sh manifest RUN         hashes of all that it left
#   run.sh work RUN             the process that watches over it
#
# A run's folder is ~/gpurig/runs/RUN with log, resources.tsv, results/ and project/ (its own copy), and in .run/ what
# this script notes: watcher and job (process, its start time, boot), started, ended, exit_code, cancelled.
set -eu
LC_ALL=C
export LC_ALL

RUNS=$HOME/gpurig/runs
SAMPLE_SECONDS=5

main() {
    action=$1
    run=${2:-}
    if [ -n "$run" ]; then
        cd "$RUNS/$run" 2>/dev/null || die "There is no run $run here."
    fi
    case $action in
        start) start "$3" "$4" ;;
        list) list ;;
        follow) follow "$3" ;;
        cancel) cancel "$3" ;;
        manifest) settled_manifest ;;
        work) work ;;
        *) die "unknown action: $action" ;;
    esac
}

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }

# put FILE TEXT: whole or not at all.
put() {
    printf '%s\n' "$2" >".run/$1.new"
    mv ".run/$1.new" ".run/$1"
}

# --- start -------------------------------------------------------------------------------------------------------------

start() {
    trap 'rm -rf "$RUNS/$run"' EXIT # until it has started, a failure leaves nothing
    command -v "$2" >/dev/null || die "There is no $2 here, so the environment is not installed."
    mkdir -p results
    copy_project "$HOME/$1"
    files_of_project >.run/snapshot
    head -c 65536 /dev/zero >.run/reserve # so that the end can be noted where the job filled the disk
    trap - EXIT
    if has_systemd && as_root systemd-run --quiet --collect --unit="gpurig-run-$run" --description="gpurig run $run" \
        --uid="$(id -u)" --gid="$(id -g)" --setenv=HOME="$HOME" --property=OOMPolicy=continue --property=TasksMax=infinity \
        sh "$PWD/.run/run.sh" work "$run" 2>.run/systemd-run; then
        : # outside the login session, which logind may end with its processes
    else
        setsid sh .run/run.sh work "$run" </dev/null >/dev/null 2>&1 &
    fi
    tries=0
    until [ -e .run/started ]; do
        tries=$((tries + 1))
        [ $tries -le 600 ] || die "The run did not start within a minute."
        sleep 0.1
    done
}

has_systemd() { [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# A later sync must not change a running job. Files are linked where they are large, which costs nothing, and copied where
# a program may well write into them: a link would carry that into the synced project.
copy_project() {
    rsync --archive --exclude=/.gpurig --min-size=1m --link-dest="$1" "$1/" project/
    rsync --archive --exclude=/.gpurig "$1/" project/
}

# Inode, size and time of every file of the run's copy, to tell later what the run wrote there.
files_of_project() {
    find project -name __pycache__ -prune -o -type f -printf '%i:%s:%T@\t%p\0' | sort --zero-terminated
}

# --- work --------------------------------------------------------------------------------------------------------------

work() {
    trap : HUP TERM INT # the job gets them too; this process stays to note how it ended
    put watcher "$(identity $$)"
    # A session of its own, so that it can be ended whole; and a mark that every process of it carries.
    setsid env GPURIG_RUN="$run" GPURIG_RESULTS="$PWD/results" sh .run/job.sh >>log 2>&1 </dev/null &
    job=$!
    put job "$(identity $job)"
    put started "$(now)"
    watch_resources "$job" &
    code=0
    wait $job || code=$?
    while kill -0 $job 2>/dev/null; do # a signal ended the wait, not the job
        code=0
        wait $job || code=$?
    done
    kill $! 2>/dev/null || true
    rm -f .run/reserve
    put ended "$(now)"
    put exit_code "$code"
    note_manifest
}

watch_resources() {
    trap - HUP TERM INT
    printf 'time\tcpu_percent\tmemory_mb\tgpu_percent\tgpu_memory_mb\n' >resources.tsv
    ticks_per_second=$(getconf CLK_TCK)
    page=$(getconf PAGESIZE)
    before="0 $(uptime_seconds)"
    sleep 1
    while kill -0 "$1" 2>/dev/null; do
        current=$(cat /proc/[0-9]*/stat 2>/dev/null | awk -v session="$1" '
            { sub(/^.*\) /, ""); if ($4 == session) { ticks += $12 + $13; pages += $22 } }
            END { print ticks + 0, pages + 0 }')
        # shellcheck disable=SC2086 # words on purpose
        set -- "$1" $current $before "$(uptime_seconds)"
        before="$2 $6"
        awk -v now="$(now)" -v ticks="$2" -v pages="$3" -v ticks0="$4" -v t0="$5" -v t="$6" \
            -v hz="$ticks_per_second" -v page="$page" -v gpu="$(gpus)" 'BEGIN {
            used = ticks > ticks0 && t > t0 ? 100 * (ticks - ticks0) / hz / (t - t0) : 0
            printf "%s\t%.0f\t%.0f\t%s\n", now, used, pages * page / 1e6, gpu }' >>resources.tsv
        set -- "$1"
        sleep $SAMPLE_SECONDS
    done
}

uptime_seconds() { cut -d ' ' -f 1 /proc/uptime; }

# Mean use in percent and memory in MB over all GPUs.
gpus() {
    command -v nvidia-smi >/dev/null || { printf -- '-\t-'; return; }
    timeout 10 nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits 2>/dev/null |
        awk -F, '{ use += $1; memory += $2; n++ } END { if (n) printf "%.0f\t%.0f", use / n, memory * 1.048576; else printf "-\t-" }'
}

# Its log, its results, and whatever it wrote into its copy of the project.
note_manifest() {
    {
        find log resources.tsv results -type f -print0 2>/dev/null || true
        files_of_project | comm --zero-terminated -13 .run/snapshot - | cut --zero-terminated --fields=2-
    } | xargs --null --no-run-if-empty sha256sum >.run/manifest.new
    mv .run/manifest.new manifest.sha256
}

settled_manifest() {
    while [ ! -e manifest.sha256 ] && alive watcher; do sleep 0.2; done
    [ -e manifest.sha256 ] || note_manifest
    cat manifest.sha256
}

# --- states ------------------------------------------------------------------------------------------------------------

list() {
    if [ -n "$run" ]; then
        state
        return
    fi
    for folder in "$RUNS"/*/.run; do
        [ -d "$folder" ] || continue
        cd "${folder%/.run}"
        run=${PWD##*/}
        state
    done
}

# running, done, failed, cancelled; or lost: neither process is there and none noted how it ended.
state() {
    code=-
    ended=-
    [ ! -e .run/ended ] || ended=$(cat .run/ended)
    if [ -e .run/exit_code ]; then
        code=$(cat .run/exit_code)
        if [ -e .run/cancelled ]; then
            state=cancelled
        elif [ "$code" = 0 ]; then
            state="done"
        else
            state=failed
        fi
    elif alive watcher || alive job; then
        state=running
    else
        state=lost
    fi
    printf '%s\t%s\t%s\t%s\n' "$run" "$state" "$code" "$ended"
}

# Process, its start and the boot, so that another process of that number is never taken for it.
identity() { printf '%s %s %s' "$1" "$(process_start "$1")" "$(cat /proc/sys/kernel/random/boot_id)"; }

process_start() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

process_state() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 1; }

alive() {
    [ -e ".run/$1" ] || return 1
    known=$(cat ".run/$1")
    [ "$known" = "$(identity "${known%% *}")" ] && [ "$(process_state "${known%% *}")" != Z ]
}

# tail ends with a process of ours, which this shell clears away: the watcher itself may stay a zombie where the first
# process of a container clears nothing away.
follow() {
    if alive watcher; then
        read -r watcher _ <.run/watcher
        while running "$watcher" && running $$; do sleep 0.2; done &
        tail --bytes="+$(($1 + 1))" --follow --sleep-interval=0.2 --pid=$! log
    else
        tail --bytes="+$(($1 + 1))" log
    fi
}

# Without starting a process, for it is asked often.
running() {
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    case ${stat##*) } in Z*) return 1 ;; esac
}

# --- cancel ------------------------------------------------------------------------------------------------------------

cancel() {
    if ! alive job; then
        state
        return
    fi
    put cancelled "$(now)"
    read -r job _ <.run/job
    signal TERM
    tries=0
    while [ -n "$(processes)" ]; do
        tries=$((tries + 1))
        if [ $tries -gt $(($1 * 10)) ]; then
            signal KILL
            break
        fi
        sleep 0.1
    done
    tries=0
    until [ -e .run/exit_code ] || [ $tries -ge 50 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    if [ ! -e .run/exit_code ]; then # its watcher is gone
        put ended "$(now)"
        put exit_code 137
    fi
    state
}

signal() {
    kill -s "$1" -- "-$job" 2>/dev/null || true
    # shellcheck disable=SC2046 # one word per process
    kill -s "$1" $(processes) 2>/dev/null || true
}

# Every process of the run, also those that left its session.
processes() {
    grep --files-with-matches --null-data --line-regexp --fixed-strings "GPURIG_RUN=$run" /proc/[0-9]*/environ 2>/dev/null |
        cut -d / -f 3
}

main "$@"
