"""Rented hosts from end to end: `rig` rents from a simulated Vast.ai whose machines are real containers. The GPUs are simulated."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gpurig import budget, catalogue, clock, config, keys, lifecycle, records, renting
from gpurig.ledger import Ledger
from gpurig.stack import Stack
from tests.clients.containers import Containers, containers
from tests.clients.fake import GOOD_KEY
from tests.clients.fake_vastai import offer
from tests.clients.real_hosts import (
    INSTANCE_KEY,
    Hardware,
    RealDigitalocean,
    RealHosts,
    RealLambdalabs,
    RealPaperspace,
    RealRunpod,
    RealVastai,
)
from tests.clients.server import serving
from tests.clients.time import faster
from tests.e2e.spying import leaks, spying
from tests.projects import NO_PULUMI, PULUMI, Done, Project

READY_SECONDS = 12
"""For these tests: how long a machine may take until it lets us in."""

IMPATIENT = f"""\
# Read by every Python at its start: rented machines get less time than usual.
import sys
if "gpurig.cli" in sys.orig_argv:
    from gpurig import renting
    renting.READY_SECONDS = {READY_SECONDS}
"""

GPUS = {
    "A10": ("NVIDIA A10", 23028),
    "H100": ("NVIDIA H100 80GB HBM3", 81559),
    "RTX 4090": ("NVIDIA GeForce RTX 4090", 24564),
    "RTX A4000": ("NVIDIA RTX A4000", 16376),
}
"""Canonical name → name and MiB as nvidia-smi tells them."""

HOST = {"provider": "vastai", "gpu": "RTX 4090", "max_price": 1, "ca_bundle": "auto", "disk": 20, "link": 100}


@pytest.fixture(scope="module")
def machines(host_image: str) -> Iterator[Containers]:
    with containers(host_image) as made:
        yield made


@dataclass
class Rented:
    """A project whose host `gpu` is rented. spied: command lines of this machine in which the account's key was seen."""

    project: Project
    vendor: RealVastai
    up: Done
    spied: list[str]

    @property
    def stack(self) -> Stack:
        return self.project.stack()

    @property
    def container(self) -> str:
        (machine,) = self.vendor.living()
        return self.vendor.container(machine)


@pytest.fixture(scope="module")
def vendor(machines: Containers) -> Iterator[RealVastai]:
    """Simulated Vast.ai. Its cheapest machine has another GPU than its offer says, the next one never gets its start-up script."""
    made = RealVastai(machines)
    made.offers = [offer(1 + n, price=0.30 + n / 100) for n in range(6)]
    yield made
    assert made.mistakes == []


@pytest.fixture(scope="module")
def new(vendor: RealVastai, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Project]]:
    """Makes projects, by the name of their engine, that rent from the simulated vendor."""
    made: list[Project] = []
    with serving(vendor) as url:

        def make(engine: str) -> Project:
            project = Project(tmp_path_factory.mktemp("rented"), engine)
            (project.root / "sitecustomize.py").write_text(IMPATIENT)
            project.environment |= {
                "GPURIG_VASTAI_URL": url, "VAST_API_KEY": GOOD_KEY,
                "PYTHONPATH": str(project.root), "ANSIBLE_CONFIG": str(catalogue.ROOT / "ansible.cfg"),
            }  # fmt: skip
            project.configure({"gpu": HOST})
            made.append(project)
            return project

        yield make
        for project in made:
            project.clean()


@pytest.fixture(scope="module")
def rented(vendor: RealVastai, new: Callable[[str], Project]) -> Rented:
    """`rig up`, past two bad machines."""
    vendor.hardware = [Hardware(gpu="NVIDIA GeForce RTX 3090", memory=24576), Hardware(loses_script=True), Hardware()]
    project = new("embedded")
    with spying(project.home) as spied:
        up = project.rig("up", "--yes")
    return Rented(project, vendor, up, spied)


def test_bad_machines_are_ended_and_the_next_one_is_taken(rented: Rented) -> None:
    (machine,) = rented.vendor.living()
    wrong, lost, good = Ledger(rented.stack.home).rentals()
    assert [rental.state for rental in (wrong, lost, good)] == ["ended", "ended", "accepted"]
    assert "RTX 3090 with 26 GB; RTX 4090 was paid for" in wrong.reason
    assert "another host key" in lost.reason
    assert good.machine == machine.id == records.require(rented.stack, "gpu").id
    assert len({rental.offer["machine"] for rental in (wrong, lost, good)}) == 3
    seconds = (lost.times[-1][0] - lost.times[0][0]).total_seconds()
    assert READY_SECONDS <= seconds < READY_SECONDS + 120


def test_what_the_bad_ones_cost_is_in_the_ledger(rented: Rented) -> None:
    every = Ledger(rented.stack.home).rentals()
    costs = [budget.spent([rental], budget.EVER, clock.now()) for rental in every]
    assert all(cost > 0 for cost in costs)
    line = json.loads(rented.project.rig("costs", "--json").stdout)["total"]
    assert Decimal(line["wasted"]) == pytest.approx(sum(costs[:2]), rel=Decimal("0.1"))


def test_progress_and_prices_are_told(rented: Rented) -> None:
    said = rented.up.stderr
    assert "renting 1 × RTX 4090 from vastai" in said
    assert "is not accepted" in said
    assert "accepted: 1 × NVIDIA GeForce RTX 4090, driver 580.95.05, CUDA works" in said
    assert "link" in said


def test_nobody_logs_in_over_another_host_key(rented: Rented) -> None:
    """The machine whose start-up script was lost showed the key of its launcher: it was never entered."""
    _, lost, good = Ledger(rented.stack.home).rentals()
    assert "Connection" in rented.vendor.seen[lost.machine]
    assert "Accepted" not in rented.vendor.seen[lost.machine]
    host = records.require(rented.stack, "gpu")
    shown = rented.vendor.containers.run(rented.container, "cat /etc/ssh/ssh_host_ed25519_key.pub")
    assert shown.split()[:2] == host.endpoint.host_key.split()
    assert host.endpoint.host_key == keys.public_half(keys.host_key(rented.stack, "gpu", good.generation))


def test_status_shows_it_with_its_price(rented: Rented) -> None:
    (line,) = json.loads(rented.project.rig("status", "--check", "--json").stdout)["hosts"]
    assert (line["name"], line["provider"], line["state"]) == ("gpu", "vastai", "answers")
    assert Decimal(line["hourly"]) == Ledger(rented.stack.home).rentals()[-1].price


def test_it_is_configured_and_verified_like_any_host(rented: Rented) -> None:
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    site = [playbook, str(catalogue.ROOT / "playbooks" / "site.yml")]
    rented.project.run(*site, check=True)
    done = rented.project.rig("verify", "gpu", "--json", check=False)
    (report,) = json.loads(done.stdout)
    bad = [result["name"] for result in report["results"] if result["verdict"] in ("FAIL", "WARN")]
    assert (done.returncode, bad) == (0, ["PyTorch: results and speed"])  # none was asked for
    found = {
        result["name"]: (result["verdict"], result["value"]) for result in report["results"] if result["topic"] == "gpu"
    }
    assert found["GPUs"] == ("PASS", "1")
    assert found["GPU 0: model"] == ("PASS", "NVIDIA GeForce RTX 4090")
    assert found["GPU 0: a CUDA kernel"][0] == "PASS"


def test_the_account_s_key_is_nowhere(rented: Rented) -> None:
    assert rented.spied == []
    # As data, so that it is not in the command lines that are searched.
    look = "set +e; read -r key; for place in /etc /home /opt /root /run /srv /tmp /usr/local /var /proc/[0-9]*/environ; do grep -rlF $key $place; done; true"
    found = rented.vendor.containers.run(rented.container, f"{look} 2>/dev/null", data=GOOD_KEY)
    assert found == ""
    assert INSTANCE_KEY not in rented.vendor.containers.run(rented.container, "cat /etc/environment")
    assert leaks(rented.project.home, rented.project.root) == []
    assert GOOD_KEY not in rented.up.stdout + rented.up.stderr


def test_after_a_stop_it_is_found_at_its_new_port(rented: Rented) -> None:
    before = records.require(rented.stack, "gpu").endpoint
    rented.project.rig("stop", "gpu", "--yes")
    assert not rented.vendor.containers.podman.inspect(rented.container)["State"]["Running"]
    rented.project.rig("start", "gpu", "--yes")
    after = records.require(rented.stack, "gpu").endpoint
    assert (after.port != before.port, after.host_key) == (True, before.host_key)
    assert rented.project.rig("connect", "gpu", "--", "echo $CUDA_HOME").stdout.strip() == "/usr/local/cuda"


def test_down_ends_it(rented: Rented) -> None:
    container = rented.container
    rented.project.rig("down", "--yes")
    assert rented.vendor.living() == []
    assert container not in [found["Id"] for found in rented.vendor.containers.podman.containers({})]
    assert Ledger(rented.stack.home).open_rentals() == []


@pytest.mark.skipif(PULUMI is None, reason=NO_PULUMI)
def test_pulumi_rents_it_too_and_keeps_no_key(vendor: RealVastai, new: Callable[[str], Project]) -> None:
    vendor.hardware = []
    project = new("pulumi")
    with spying(project.home) as spied:
        project.rig("up", "--yes")
        (machine,) = vendor.living()
        assert records.require(project.stack(), "gpu").id == machine.id
        assert project.rig("connect", "gpu", "--", "nvidia-smi -L").stdout.startswith("GPU 0: NVIDIA GeForce RTX 4090")
        project.rig("down", "--yes")
    assert vendor.living() == []
    assert spied == []
    assert leaks(project.home, project.root) == []


@pytest.mark.parametrize(
    "kind", [RealRunpod, RealLambdalabs, RealDigitalocean, RealPaperspace], ids=lambda kind: kind.name
)
def test_every_vendor_s_machine_starts_and_is_accepted(
    machines: Containers, tmp_path: Path, e2e_home: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    vendor: RealHosts = kind(machines)
    faster(monkeypatch.setattr, 3)
    monkeypatch.setattr(renting, "READY_SECONDS", 180.0)
    for name in ("RUNPOD_API_KEY", "LAMBDA_API_KEY", "DIGITALOCEAN_TOKEN", "PAPERSPACE_API_KEY"):
        monkeypatch.setenv(name, GOOD_KEY)
    stack = Stack(f"rented-{vendor.name}", "test", tmp_path, e2e_home)
    vendor.hardware = [Hardware(*GPUS[vendor.gpu])]
    entry = {"provider": vendor.name, "gpu": vendor.gpu, "max_price": 50, "disk": 20}
    spec = config.parse({"hosts": {"gpu": entry}}, "test").hosts["gpu"]
    said: list[str] = []
    with serving(vendor) as url:
        monkeypatch.setenv(f"GPURIG_{vendor.name.upper()}_URL", url)
        host = lifecycle.ensure(stack, "gpu", spec, report=said.append)
        assert [machine.id for machine in vendor.living()] == [host.id]
        assert "CUDA works" in said[-1]
        lifecycle.end(stack, "gpu", (), report=print)
    assert vendor.living() == []
    assert vendor.mistakes == []
