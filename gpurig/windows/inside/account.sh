# gpurig: inside/account. A user who may log in with a key and become root without a password.
# Its input is Base64 of two lines: the user's name, the public key. Says `changed` where something changed.
set -eu
umask 022
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
changed=

main() {
    wanted=$(base64 -d)
    user=$(printf '%s\n' "$wanted" | sed -n 1p)
    key=$(printf '%s\n' "$wanted" | sed -n 2p)
    packages
    if ! id "$user" >/dev/null 2>&1; then
        useradd --create-home --user-group --shell /bin/bash "$user"
        changed=1
    fi
    rights
    login
    if [ -n "$changed" ]; then echo changed; fi
}

# What Ansible needs here, and only where it is missing: the network may be.
packages() {
    missing=
    command -v sudo >/dev/null || missing="sudo"
    command -v python3 >/dev/null || missing="$missing python3"
    if [ -z "$missing" ]; then return; fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update >&2 </dev/null
    # shellcheck disable=SC2086 # one word per package
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends $missing >&2 </dev/null
    changed=1
}

rights() {
    if runuser -u "$user" -- sudo -n true >/dev/null 2>&1; then return; fi
    file=/etc/sudoers.d/gpurig
    install -d -m 0750 /etc/sudoers.d
    printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$user" >"$file.new"
    chmod 0440 "$file.new"
    visudo -q -c -f "$file.new" >&2
    mv "$file.new" "$file"
    changed=1
}

login() {
    home=$(getent passwd "$user" | cut -d : -f 6)
    group=$(id -gn "$user")
    if [ ! -d "$home/.ssh" ]; then
        install -d -m 0700 -o "$user" -g "$group" "$home/.ssh"
        changed=1
    fi
    keys=$home/.ssh/authorized_keys
    known=$(printf '%s' "$key" | cut -d ' ' -f 1,2)
    if ! grep -qsF "$known" "$keys"; then
        # A last line without its end must not swallow ours.
        if [ -s "$keys" ] && [ -n "$(tail -c 1 "$keys")" ]; then echo >>"$keys"; fi
        printf '%s\n' "$key" >>"$keys"
        chmod 0600 "$keys"
        chown "$user:$group" "$keys"
        changed=1
    fi
}
