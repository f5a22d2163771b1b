"""Start-up scripts of rented machines, run in real containers: who gets in, over which host key, and what a session sees."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpurig import boot, config, keys, orders
from gpurig.providers import Order, Owner
from gpurig.providers.container.client import File, PodmanError
from gpurig.stack import Stack
from tests.clients.containers import ADDRESS, Containers, containers, free_ports
from tests.clients.real_hosts import LAUNCHER
from tests.e2e.login import Login

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOmRsB2qsKkN2IdJjFFmfOfOXtf4qazKV8NdEXHNvqVv somebody"

ENVIRONMENT = {
    "CONTAINER_API_KEY": "key-of-this-instance",
    "CUDA_HOME": "/usr/local/cuda",
    "DATABASE_URL": "https://me:hidden@db.example.org/",
    "HF_TOKEN": "hidden-token",
    "MOTTO": "it's a # thing",
    "PATH": "/opt/image/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TWO_LINES": "one\ntwo",
}


@pytest.fixture
def stack(e2e_home: Path, tmp_path: Path) -> Stack:
    return Stack(project=f"boot-{tmp_path.name}", name="test", root=tmp_path, home=e2e_home)


@pytest.fixture
def order(stack: Stack) -> Order:
    entry = {"provider": "vastai", "gpu": "RTX 4090", "max_price": 1}
    spec = config.parse({"hosts": {"a": entry}}, "test").hosts["a"]
    return orders.order(stack, Owner(stack.project, stack.name, "a"), spec, 1)


@pytest.fixture
def machines(e2e_home: Path, host_image: str) -> Iterator[Containers]:
    with containers(host_image) as made:
        yield made


def vast(machines: Containers, order: Order, sshd: str, **environment: str) -> tuple[str, int]:
    (port,) = free_ports(1)
    files = {"/launcher": (LAUNCHER, 0o755), "/root/onstart.sh": (boot.container(order, starts_sshd=False), 0o755)}
    made = machines.start(
        ["/launcher"], files=files, environment={"SSHD_STARTS": sshd, **environment}, ssh=[(ADDRESS, port)]
    )  # fmt: skip
    return made, port


@pytest.mark.parametrize("sshd", ["before", "after", "beside", "anew"])
def test_a_container_shows_our_key_whenever_its_launcher_starts_sshd(
    machines: Containers, stack: Stack, order: Order, sshd: str
) -> None:
    _, port = vast(machines, order, sshd)
    login = Login(stack, order, port)
    login.wait()
    assert login.run("id -un") == "root\n"


def test_a_session_sees_the_variables_of_the_container_but_no_secret(
    machines: Containers, stack: Stack, order: Order
) -> None:
    made, port = vast(machines, order, "before", **ENVIRONMENT)
    login = Login(stack, order, port)
    login.wait()
    seen = dict(line.split("=", 1) for line in login.run("env").splitlines() if "=" in line)
    assert seen["CUDA_HOME"] == "/usr/local/cuda"
    assert seen["PATH"] == ENVIRONMENT["PATH"]
    assert not {"CONTAINER_API_KEY", "HF_TOKEN", "DATABASE_URL", "TWO_LINES", "MOTTO", "two"} & set(seen)
    written = login.run("cat /etc/environment /root/.ssh/authorized_keys")
    assert "hidden" not in written
    assert "key-of-this-instance" not in written
    assert "key-of-this-instance" in machines.run(made, "tr '\\0' '\\n' </proc/1/environ")  # where a guard finds it


def test_it_may_run_again_and_mends_what_would_keep_us_out(machines: Containers, stack: Stack, order: Order) -> None:
    made, port = vast(machines, order, "before")
    login = Login(stack, order, port)
    login.wait()
    state = "cat /root/.ssh/authorized_keys /etc/environment /etc/ssh/ssh_host_ed25519_key* | sha256sum"
    before = machines.run(made, state)
    machines.run(made, "bash /root/onstart.sh")
    assert machines.run(made, state) == before
    spoil = f"""
      printf '%s' '{OTHER_KEY}' >/root/.ssh/authorized_keys
      chmod 777 /root /root/.ssh /root/.ssh/authorized_keys
      rm /etc/ssh/ssh_host_*
      ssh-keygen -A
      bash /root/onstart.sh
    """
    machines.run(made, spoil)
    login.wait()
    assert login.run("cat /root/.ssh/authorized_keys").splitlines() == [OTHER_KEY, order.public_key]
    assert login.run("stat -c %a /root/.ssh /root/.ssh/authorized_keys").split() == ["700", "600"]


def test_services_that_were_installed_come_back_with_a_restart(
    machines: Containers, stack: Stack, order: Order
) -> None:
    made, port = vast(machines, order, "before")
    login = Login(stack, order, port)
    login.wait()
    service = File("/etc/gpurig/boot.d/50-service", "#!/bin/sh\numask >/run/service-runs\n", 0o755)
    machines.podman.put(made, [service])
    machines.podman.run("restart", "--time=0", made)
    login.wait()
    assert login.run("cat /run/service-runs") == "0022\n"


APT = """\
#!/bin/bash
# Simulated: a package manager that has what is asked for, the second time.
echo "$*" >>/root/apt.log
case "$*" in
  *python3*) mv /usr/bin/python3.away /usr/bin/python3 ;;
  *openssh-server*)
    [ -e /root/apt-failed ] || { touch /root/apt-failed; exit 100; }
    mv /usr/sbin/sshd.away /usr/sbin/sshd ;;
esac
"""


@pytest.mark.parametrize("goes_on", [False, True], ids=["bare", "with-its-own-start"])
def test_a_container_that_must_start_sshd_itself(
    machines: Containers, stack: Stack, order: Order, goes_on: bool
) -> None:
    """Without sshd and Python in its image they are installed; what the image would have started goes on beside sshd."""
    (port,) = free_ports(1)
    prepare = "mv /usr/bin/python3 /usr/bin/python3.away; mv /usr/sbin/sshd /usr/sbin/sshd.away; "
    files = {"/usr/local/bin/apt-get": (APT, 0o755)}
    if goes_on:
        files["/start.sh"] = ("#!/bin/bash\ntouch /run/image-started\nexec sleep infinity\n", 0o755)
    script = boot.container(order, starts_sshd=True)
    made = machines.start(["bash", "-c", prepare + script], files=files, environment=ENVIRONMENT, ssh=[(ADDRESS, port)])
    login = Login(stack, order, port)
    login.wait()
    assert login.run("echo $CUDA_HOME") == "/usr/local/cuda\n"
    assert [line.split()[-1] for line in login.run("cat /root/apt.log").splitlines()] == [
        "-qq", "python3", "-qq", "openssh-server", "-qq", "openssh-server",
    ]  # fmt: skip
    assert machines.run(made, "ls /run/image-started 2>/dev/null || true").strip() == (
        "/run/image-started" if goes_on else ""
    )
    if not goes_on:
        machines.podman.run("kill", "--signal=TERM", made)  # the vendor's stop
        assert machines.podman.run("wait", "--condition=exited", made).strip() == "0"


class TestVirtualMachine:
    """Containers with systemd."""

    @pytest.fixture
    def made(self, machines: Containers) -> tuple[str, int]:
        """One that has booted, and the port at which it is reached."""
        (port,) = free_ports(1)
        with_keys = "ssh-keygen -A; exec /sbin/init"  # a vendor's image has some of its own
        keeps = {"/etc/default/ssh": ("SSHD_OPTS=-r\n", 0o644)}  # the keys of its start, as OpenSSH 9.8 and later do
        container = machines.start(["/bin/sh", "-c", with_keys], files=keeps, systemd=True, ssh=[(ADDRESS, port)])
        machines.run(container, BOOTED)
        return container, port

    def test_a_script_lets_a_user_in_who_may_become_root(
        self, machines: Containers, made: tuple[str, int], stack: Stack, order: Order
    ) -> None:
        container, port = made
        template = f"""
          useradd --create-home --shell /bin/bash paperspace
          usermod --password '*' paperspace
          install -d -m 775 -o paperspace /home/paperspace/.ssh
          chmod 777 /home/paperspace
          printf '%s' '{OTHER_KEY}' >/home/paperspace/.ssh/authorized_keys
        """
        machines.run(container, template)
        script = boot.script(order, user="paperspace")
        machines.run(container, script)
        login = Login(stack, order, port, user="paperspace")
        login.wait()
        assert login.run("id -un; sudo -n id -un") == "paperspace\nroot\n"
        files = "/home/paperspace/.ssh/authorized_keys /etc/sudoers.d/90-gpurig /etc/ssh/ssh_host_ed25519_key*"
        before = machines.run(container, f"sha256sum {files}")
        machines.run(container, script)
        assert machines.run(container, f"sha256sum {files}") == before
        assert login.run("cat .ssh/authorized_keys").splitlines() == [OTHER_KEY, order.public_key]
        assert "sudoers.d/90-gpurig: parsed OK" in machines.run(container, "visudo -c")

    def test_cloud_init_lets_us_in_and_shows_no_other_key(
        self, machines: Containers, made: tuple[str, int], stack: Stack, order: Order
    ) -> None:
        """The real cloud-init, as an image of a vendor has it: with host keys of the image, and a user of its own."""
        container, port = made
        try:
            machines.run(container, INSTALL)
        except PodmanError as error:
            pytest.skip(f"cloud-init cannot be installed here: {error.stderr.splitlines()[-1]}")
        for number, user in enumerate(("ubuntu", "root")):
            seed = "/var/lib/cloud/seed/nocloud"
            files = {
                f"{seed}/user-data": boot.cloud_init(order, user=user),
                f"{seed}/meta-data": f"instance-id: i-{number}\n",
                "/etc/cloud/cloud.cfg.d/99-test.cfg": CLOUD,
            }
            machines.podman.put(container, [File(path, content, 0o600) for path, content in files.items()])
            valid = machines.run(container, f"cloud-init schema --config-file {seed}/user-data")
            assert valid.startswith("Valid")
            machines.run(container, "rm -f /etc/ssh/ssh_host_*; ssh-keygen -A; rm -rf /root/.ssh")
            machines.podman.run("restart", "--time=1", container)
            assert first_key(port) == keys.public_half(order.host_key)
            login = Login(stack, order, port, user)
            login.wait()
            assert login.run("id -un; sudo -n id -un") == f"{user}\nroot\n"
            assert "status: done" in machines.run(container, "cloud-init status --wait || true")
            assert "passwordauthentication no" in login.run("sudo sshd -T")


BOOTED = "for _ in {1..200}; do systemctl is-active --quiet multi-user.target && exit; sleep 0.1; done; exit 1"

INSTALL = """
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends cloud-init
"""

CLOUD = """\
datasource_list: [NoCloud]
system_info:
  default_user: {name: ubuntu, shell: /bin/bash, lock_passwd: true, sudo: ["ALL=(ALL) NOPASSWD:ALL"]}
"""


def first_key(port: int) -> str:
    """The Ed25519 host key that is shown first, once anything is."""
    for _ in range(300):
        scan = ["ssh-keyscan", "-T1", "-t", "ed25519", "-p", str(port), ADDRESS]
        done = subprocess.run(scan, capture_output=True, text=True, check=False)
        if done.stdout:
            return " ".join(done.stdout.split()[1:3])
        time.sleep(0.05)
    raise AssertionError("no key was shown")
