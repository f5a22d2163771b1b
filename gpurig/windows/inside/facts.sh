# gpurig: inside/facts. What a distribution says of itself, as `key=value` lines; texts of several lines as Base64. Changes nothing.
# Run as root: facts.sh PORT USER (- for no user). A key that is missing is not known; one that repeats is a list.
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

main() {
    system
    network
    logins "$2"
    secure_shell
    gpu
    busy
    # Last: its answer may be long in coming.
    say dns_ok "$(resolves)"
    say end 1
}

say() { if [ -n "$2" ]; then printf '%s=%s\n' "$1" "$2"; fi; }

say_each() { while IFS= read -r line; do say "$1" "$line"; done; }

# say_text KEY FILE: nothing where there is no such file, `KEY=` where it is empty.
say_text() { if [ -f "$2" ]; then printf '%s=%s\n' "$1" "$(base64 -w 0 <"$2")"; fi; }

truth() { if "$@" >/dev/null 2>&1; then echo 1; else echo 0; fi; }

have() { command -v "$1" >/dev/null 2>&1; }

system() {
    say kernel "$(uname -r)"
    sed -n 's/^ID=/os_id=/p; s/^VERSION_ID=/os_version=/p' /etc/os-release | tr -d '"'
    say nproc "$(nproc)"
    awk '$1 == "MemTotal:" { print "memory_bytes=" $2 * 1024 } $1 == "SwapTotal:" { print "swap_bytes=" $2 * 1024 }' \
        OFMT=%.0f CONVFMT=%.0f /proc/meminfo
    say clock "$(date +%s)"
    say_text wsl_conf /etc/wsl.conf
    df -B1 --output=size,avail / | awk 'NR == 2 { print "disk_size_bytes=" $1; print "disk_free_bytes=" $2 }'
    case $(stat -fc %T /sys/fs/cgroup) in
        cgroup2fs) say cgroup 2 ;;
        *) if [ -d /sys/fs/cgroup/unified ]; then say cgroup hybrid; else say cgroup 1; fi ;;
    esac
    if [ ! -d /run/systemd/system ]; then
        say systemd offline
        return
    fi
    say systemd "$(timeout 10 systemctl is-system-running)"
    timeout 10 systemctl list-units --failed --plain --no-legend | awk '{ print $1 }' | say_each failed_unit
    if [ -n "$(systemctl list-unit-files --no-legend docker.service)" ]; then
        say docker "$(systemctl is-active docker.service)"
    fi
}

# The first of eth0, which is what Windows forwards to; where there is no eth0, of another card that is no bridge.
network() {
    if have ip; then
        for card in $(ip -4 -o addr show scope global | awk '{ print ($2 == "eth0" ? 0 : 1), $2 }' | sort -n -s | awk '{ print $2 }'); do
            case $card in docker* | br-* | veth* | virbr* | podman*) continue ;; esac
            say address "$(ip -4 -o addr show dev "$card" scope global | awk '{ sub("/.*", "", $4); print $4; exit }')"
            break
        done
    fi
    if have wslinfo; then say networking_mode "$(timeout 10 wslinfo --networking-mode)"; fi
}

resolves() {
    name=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^#' | grep -o 'https\?://[^/ :]*' | head -n 1)
    if [ -n "$name" ]; then truth timeout 3 getent hosts "${name#*://}"; fi
}

# logins USER
logins() {
    getent passwd | awk -F : '$3 >= 1000 && $3 < 65534 { print "user=" $1 ":" $3 }'
    say python3 "$(truth have python3)"
    if [ "$1" = - ]; then return; fi
    say user_exists "$(truth id "$1")"
    if ! id "$1" >/dev/null 2>&1; then return; fi
    say sudo_ok "$(truth timeout 10 runuser -u "$1" -- sudo -n true)"
    keys=$(getent passwd "$1" | cut -d : -f 6)/.ssh/authorized_keys
    if [ -f "$keys" ]; then grep '[^[:space:]]' "$keys" | say_each authorized_key; fi
}

secure_shell() {
    say sshd_installed "$(truth test -x /usr/sbin/sshd)"
    if [ -d /run/systemd/system ]; then
        say sshd_active "$(truth systemctl is-active ssh.service)"
        say sshd_enabled "$(truth systemctl is-enabled ssh.service)"
        say ssh_socket_active "$(truth systemctl is-active ssh.socket)"
    fi
    for key in /etc/ssh/ssh_host_*_key.pub; do
        if [ -f "$key" ]; then say host_key "$(awk '{ print $1, $2; exit }' "$key")"; fi
    done
    if have ss; then
        ss -Htlnp | awk '/"sshd"/ || (/"systemd"/ && $4 ~ /:22$|:'"$port"'$/) { print "sshd_port=" $4 }' | sort -u
    fi
    if [ ! -x /usr/sbin/sshd ]; then return; fi
    say_text sshd_own /etc/ssh/sshd_config.d/00-gpurig.conf
    # Without this folder, which ssh.service makes under /run, sshd tells no more than that it is missing.
    [ -d /run/sshd ] || mkdir -m 0755 /run/sshd
    if problem=$(/usr/sbin/sshd -t 2>&1); then say sshd_config_ok 1; else
        say sshd_config_ok 0
        say sshd_problem "$(printf '%s' "$problem" | head -c 600 | tr '\n' ' ')"
    fi
    case $(/usr/sbin/sshd -T 2>/dev/null | awk '$1 == "passwordauthentication" { print $2 }') in
        yes) say password_login 1 ;;
        no) say password_login 0 ;;
    esac
}

gpu() {
    say dxg "$(truth test -e /dev/dxg)"
    say libcuda "$(ldconfig -p 2>/dev/null | awk '$1 == "libcuda.so.1" { print $NF; exit }')"
    dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' \
        'nvidia-driver-*' 'nvidia-utils-*' 'nvidia-dkms-*' 'nvidia-kernel-*' 'nvidia-headless-*' 'nvidia-compute-utils-*' nvidia-smi \
        'libnvidia-compute*' 'libnvidia-ml1' libcuda1 'cuda-drivers*' 2>/dev/null |
        awk '$1 == "installed" { print "nvidia_package=" $2 }'
    smi=/usr/lib/wsl/lib/nvidia-smi
    if [ ! -x $smi ]; then smi=$(command -v nvidia-smi); fi
    if [ -z "$smi" ]; then return; fi
    say nvidia_smi_path "$smi"
    out=$(timeout 15 "$smi" 2>&1)
    say nvidia_smi_code $?
    say nvidia_smi_out "$(printf '%s' "$out" | head -c 4096 | base64 -w 0)"
}

# Who would lose work if WSL were restarted: runs of gpurig, whatever uses the GPU, and what somebody started at a terminal or
# over SSH. A shell that waits, and the program that only keeps WSL up, are no work.
busy() {
    grep -lzs '^GPURIG_RUN=' /proc/[0-9]*/environ 2>/dev/null | while read -r file; do
        tr '\0' '\n' <"$file" 2>/dev/null | sed -n 's/^GPURIG_RUN=/busy=run /p'
    done | sort -u
    if [ -e /dev/dxg ]; then
        find /proc/[0-9]*/fd -lname /dev/dxg 2>/dev/null | cut -d / -f 3 | sort -u | while read -r process; do
            say busy "$(tr -d '\n' <"/proc/$process/comm" 2>/dev/null) ($process) uses the GPU"
        done
    fi
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v self=$$ '
        { name = $0; sub(/^[0-9]+ \(/, "", name); sub(/\) [A-Za-z] .*$/, "", name)
          rest = $0; sub(/^.*\) /, "", rest); split(rest, field, " ")
          names[$1] = name; parents[$1] = field[2]; terminals[$1] = field[5] }
        function waits(name) {
            return name ~ /^(-?(ba|da|z|fi|k|a)?sh|login|agetty|getty|su|sudo|tmux.*|screen|sshd.*|sftp-server|ssh-agent|sleep|init.*|SessionLeader|Relay.*|systemd.*|\(sd-pam\))$/ }
        function from_ssh(process) {
            while (process > 1) { process = parents[process]; if (names[process] ~ /^sshd/) return 1; if (process == self) return 0 }
            return 0 }
        END { for (process in names) {
            mine = 0
            for (up = process; up > 1; up = parents[up]) if (up == self) mine = 1
            if (!mine && parents[process] != 2 && !waits(names[process]) && (terminals[process] != 0 || from_ssh(process)))
                print "busy=" names[process] " (" process ")" } }'
}

port=$1
main "$@" </dev/null
