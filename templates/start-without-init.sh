#!/bin/sh
# First process of a host without an init system, as on Vast.ai and RunPod: starts what roles put into
# /etc/gpurig/boot.d, then stays as sshd, so that the host lives exactly as long as it can be reached.
set -eu
mkdir -p /run/sshd
for script in /etc/gpurig/boot.d/*; do
    if [ -x "$script" ]; then
        "$script" || echo "gpurig-start: $script failed with $?" >&2
    fi
done
exec /usr/sbin/sshd -D -e
