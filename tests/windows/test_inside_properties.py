"""Topics wslconfig and linux on PCs of every kind: one round does it, a second one is empty, and what is not ours stays."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from gpurig.windows import inside, topics, wslconf, wslconfig
from gpurig.windows.plan import Plan
from gpurig.windows.wslkeys import known
from tests.windows.model import wsl_vm
from tests.windows.model.installed import NAME, installed, path, text
from tests.windows.model.linux import SimulatedLinux
from tests.windows.model.pc import Machine
from tests.windows.rounds import look, talk
from tests.windows.test_wslconfig import TEXTS

OURS = {
    *("wsl2.memory", "wsl2.processors", "wsl2.swap", "wsl2.networkingMode", "wsl2.localhostForwarding"),
    *("wsl2.vmIdleTimeout", "general.instanceIdleTimeout", "experimental.autoMemoryReclaim"),
}

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpurig gpurig"

SIZES = st.none() | st.integers(1, 24)

WANTED = st.fixed_dictionaries(
    {
        "memory": SIZES,
        "processors": SIZES,
        "swap": st.none() | st.integers(0, 9),
        "networking": st.sampled_from(["nat", "mirrored"]),
    }
)

CONFS = st.lists(
    st.sampled_from(
        [
            "[boot]",
            "systemd=true",
            "systemd = false # no",
            "[user]",
            "default=me",
            "default=you",
            "; old",
            "[automount]",
            "enabled=0",
            "",
        ]
    ),
    max_size=8,
).map("\n".join)

UNITS = st.fixed_dictionaries({"enabled": st.booleans(), "active": st.booleans()})

LINUX = st.fixed_dictionaries(
    {
        "packages": st.lists(st.sampled_from(["sudo", "python3", "openssh-server"]), unique=True),
        "users": st.dictionaries(
            st.sampled_from(["me", "you"]),
            st.fixed_dictionaries(
                {
                    "uid": st.just(1000),
                    "keys": st.lists(st.sampled_from([PUBLIC, "ssh-rsa AAAA other"])),
                    "sudo": st.booleans(),
                }
            ),
        ),
        "units": st.fixed_dictionaries({}, optional={"ssh.service": UNITS, "ssh.socket": UNITS}),
        "files": st.fixed_dictionaries(
            {},
            optional={
                "/etc/wsl.conf": CONFS,
                "/etc/ssh/sshd_config.d/00-gpurig.conf": st.sampled_from(["# a\nPort 22\n", "# b\nPort 2222\n"]),
                "/etc/ssh/ssh_host_ed25519_key": st.just("another"),
            },
        ),
        "busy": st.sampled_from([[], [], ["run a"]]),
    }
)


def plan(machine: Machine, topic: str, variables: dict[str, Any]) -> Plan:
    variables = {"win_distribution_name": NAME, **variables}
    return topics.decide(topic, look(machine, *topics.sections(topic), variables=variables), variables)


def do(machine: Machine, found: Plan) -> None:
    assert talk(machine, found.actions, {}).failed() is None


@given(TEXTS, WANTED, st.booleans(), st.booleans())
def test_wslconfig(hand: str, wanted: dict[str, Any], running: bool, busy: bool) -> None:
    machine = installed(SimulatedLinux(busy=["run a"] if busy else []), wslconfig=hand)
    if running:
        wsl_vm.start(machine, NAME)
    variables = {f"win_wslconfig_{name}": value for name, value in wanted.items()}
    first = plan(machine, "wslconfig", variables)
    if first.refusals:
        assert all(path(machine) in refusal.text for refusal in first.refusals)
        assume(False)
    kinds = [action.kind for action in first.actions]
    assert kinds.count("wsl_shutdown") <= (0 if busy else 1)
    do(machine, first)
    assert plan(machine, "wslconfig", variables).actions == ()
    before, after = wslconfig.parse(hand), wslconfig.parse(text(machine))
    assert {name: value for name, value in after.items() if known(name) and name not in OURS} == {
        name: value for name, value in before.items() if known(name) and name not in OURS
    }
    assert after["wsl2.networkingMode"].lower() == wanted["networking"]
    if wanted["memory"] is not None:
        assert after["wsl2.memory"] in (f"{wanted['memory']}GB", before.get("wsl2.memory"))


@given(LINUX)
def test_linux(changes: dict[str, Any]) -> None:
    linux = SimulatedLinux(**changes)
    machine = installed(linux)
    variables = {"distribution": NAME, "user": "me", "public_key": PUBLIC}
    given = {f"win_linux_{name}": value for name, value in variables.items()}
    first = plan(machine, "linux", given)
    kinds = [action.kind for action in first.actions]
    assert kinds.count("wsl_terminate") <= (0 if changes["busy"] else 1)
    do(machine, first)
    again = plan(machine, "linux", given)
    assert again.actions == ()
    assert linux.data is not None
    conf = wslconf.parse(linux.data["files"]["/etc/wsl.conf"])
    assert (conf["boot.systemd"], conf["user.default"], conf.get("automount.enabled", "true")) == ("true", "me", "true")
    assert {"ssh-rsa AAAA other"} & {key for user in changes["users"].values() for key in user["keys"]} == (
        {"ssh-rsa AAAA other"} & {key for user in linux.data["users"].values() for key in user["keys"]}
    )
    if not changes["busy"]:
        facts = inside.facts(look(machine, "inside", variables={"win_distribution_name": NAME, **given})["inside"])
        assert "0.0.0.0:2222" in (facts.sshd_ports or ())
