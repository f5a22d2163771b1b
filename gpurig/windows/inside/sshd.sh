# gpurig: inside/sshd. sshd on a port of its own, with keys only and the host key that this laptop expects: sshd.sh PORT
# Its input is Base64 of the private host key; empty leaves the distribution's own. Says `changed` where something changed.
set -eu
umask 022
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
changed=
config=/etc/ssh/sshd_config
own=/etc/ssh/sshd_config.d/00-gpurig.conf
host_key=/etc/ssh/ssh_host_ed25519_key

main() {
    port=$1
    key=$(base64 -d)
    configuration
    package
    keys
    [ -d /run/sshd ] || mkdir -m 0755 /run/sshd
    /usr/sbin/sshd -t
    service
    if [ -n "$changed" ]; then echo changed; fi
}

# The same file that the role sshd takes over: with two files both would add their ports. It is there before the package,
# which starts sshd at once.
configuration() {
    if [ ! -e "$own" ]; then
        install -d -m 0755 "${own%/*}"
        {
            echo "# Managed by gpurig, until the role sshd writes more. The first value that sshd reads wins."
            echo "Port $port"
            echo "PasswordAuthentication no"
            echo "KbdInteractiveAuthentication no"
        } >"$own.new"
        chmod 0600 "$own.new"
        mv "$own.new" "$own"
        changed=1
    elif ! grep -Eqi "^[[:space:]]*Port[[:space:]=]+${port}[[:space:]]*$" "$own"; then
        sed "1a Port $port" "$own" >"$own.new"
        chmod 0600 "$own.new"
        mv "$own.new" "$own"
        changed=1
    fi
    if [ -e "$config" ] && ! grep -Eqs '^[[:space:]]*Include[[:space:]]+/etc/ssh/sshd_config\.d/\*\.conf' "$config"; then
        sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' "$config"
        changed=1
    fi
}

package() {
    if [ -x /usr/sbin/sshd ]; then return; fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update >&2 </dev/null
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends openssh-server >&2 </dev/null
    changed=1
}

# Ubuntu 22.04's image brings sshd without host keys.
keys() {
    if [ -n "$key" ] && ! printf '%s\n' "$key" | cmp -s - "$host_key"; then
        (umask 077 && printf '%s\n' "$key" >"$host_key.new")
        ssh-keygen -y -f "$host_key.new" >"$host_key.pub.new"
        mv "$host_key.new" "$host_key"
        mv "$host_key.pub.new" "$host_key.pub"
        changed=1
    fi
    case $(ssh-keygen -A) in *generating*) changed=1 ;; esac
}

# Where ssh.socket owns the port, Ubuntu's releases differ in what they make of `Port`.
service() {
    if systemctl is-enabled --quiet ssh.socket 2>/dev/null || systemctl is-active --quiet ssh.socket; then
        systemctl --quiet disable --now ssh.socket >&2
        systemctl daemon-reload
        changed=1
    fi
    if ! systemctl is-enabled --quiet ssh.service; then
        systemctl --quiet enable ssh.service >&2
        changed=1
    fi
    if [ -n "$changed" ] || ! systemctl is-active --quiet ssh.service || ! listens; then
        systemctl reset-failed ssh.service 2>/dev/null || true
        systemctl restart ssh.service
        changed=1
        tries=0
        until listens; do
            tries=$((tries + 1))
            if [ $tries -gt 50 ]; then
                echo "sshd does not listen on port $port: $(systemctl is-active ssh.service), see journalctl -u ssh" >&2
                exit 1
            fi
            sleep 0.1
        done
    fi
}

listens() { ss -Htlnp "sport = :$port" | grep -q '"sshd"'; }
