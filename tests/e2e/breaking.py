"""Shell scripts that break many things on a configured host, each on its own, and put them right again."""

SITE = "/opt/gpurig/environments/starter/.venv/lib/python3*/site-packages"

BREAK = f"""
# SSH: somebody switches passwords on, in a file that sshd reads before ours, and adds an old algorithm.
printf 'PasswordAuthentication yes\\nMACs hmac-sha1,hmac-sha2-256-etm@openssh.com\\n' > /etc/ssh/sshd_config.d/00-a-test.conf
systemctl reload ssh
cp /etc/ssh/ssh_host_ed25519_key.pub /root/kept.pub
ssh-keygen -q -t ed25519 -N '' -f /root/other
cp /root/other.pub /etc/ssh/ssh_host_ed25519_key.pub

# Sockets that nobody declared.
systemd-run --quiet --unit=test-http python3 -m http.server 8765
systemd-run --quiet --unit=test-udp python3 -c 'import socket, time
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 8766))
time.sleep(600)'

# Services: one is stopped for good; the other lets everyone in, at every address, and its token is in ps.
systemctl disable --now --quiet gpurig-tensorboard
cp /etc/gpurig/services/jupyter /root/kept-jupyter
cp -p /etc/gpurig/services/jupyter.env /root/kept-jupyter.env
token=$(sed -n 's/^JUPYTER_TOKEN=//p' /etc/gpurig/services/jupyter.env)
systemd-run --quiet --unit=test-leak python3 -c 'import time; time.sleep(600)' "$token"
sed -i 's/"--ServerApp.ip=127.0.0.1"/"--ServerApp.ip=0.0.0.0", "--IdentityProvider.token="/' /etc/gpurig/services/jupyter
chmod 0644 /etc/gpurig/services/jupyter.env
systemctl restart gpurig-jupyter

# Environment: edited code, a package that no lock names, another smoke test.
cp /opt/gpurig/environments/starter/smoke.py /root/kept-smoke.py
echo '# edited' >> /opt/gpurig/environments/starter/smoke.py
cd {SITE}
cp joblib/__init__.py /root/kept-joblib.py
echo '# edited' >> joblib/__init__.py
mkdir smuggled-1.0.dist-info
printf 'Metadata-Version: 2.1\\nName: smuggled\\nVersion: 1.0\\n' > smuggled-1.0.dist-info/METADATA

# The machine: certificates that are gone, a unit that fails, programs that anyone can change.
cp -p /etc/ssl/certs/ca-certificates.crt /root/kept.crt
head -n 20 /root/kept.crt > /etc/ssl/certs/ca-certificates.crt
systemd-run --quiet --unit=test-fails false || true
chmod o+w /opt/gpurig/bin

for _ in $(seq 300); do
    ss -ltn | grep -q ':8888 ' && ss -ltn | grep -q ':8765 ' && ss -lun | grep -q ':8766 ' && exit
    sleep 0.1
done
echo 'not everything listens' >&2
exit 1
"""

RESTORE = f"""
rm /etc/ssh/sshd_config.d/00-a-test.conf
systemctl reload ssh
cp /root/kept.pub /etc/ssh/ssh_host_ed25519_key.pub
systemctl stop test-http test-udp test-leak
systemctl reset-failed
cp /root/kept-jupyter /etc/gpurig/services/jupyter
cp -p /root/kept-jupyter.env /etc/gpurig/services/jupyter.env
systemctl restart gpurig-jupyter
systemctl enable --now --quiet gpurig-tensorboard
cp /root/kept-smoke.py /opt/gpurig/environments/starter/smoke.py
cd {SITE}
cp /root/kept-joblib.py joblib/__init__.py
rm -r smuggled-1.0.dist-info
cp -p /root/kept.crt /etc/ssl/certs/ca-certificates.crt
chmod o-w /opt/gpurig/bin
rm -r /root/kept* /root/other*
for _ in $(seq 300); do
    ss -ltn | grep -q ':8888 ' && ss -ltn | grep -q ':6006 ' && exit
    sleep 0.1
done
exit 1
"""
