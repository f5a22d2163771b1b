"""A Windows PC's entry: what it becomes, and how a mistake in it is refused before anything is changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gpurig import config, keys, lifecycle, providers, schema
from gpurig.errors import ConfigError
from gpurig.host import Host
from gpurig.providers import Owner
from gpurig.providers.workstation.windows import WindowsSpec
from gpurig.stack import Stack
from gpurig.windows import topics, variables
from tests.unit.simulated import HOST_KEY

BEGINS = "Pulumi.x.yaml: gpurig:hosts.home."
SHA256 = "0" * 64


def entry(**keys: Any) -> dict[str, Any]:
    return {"provider": "workstation", "os": "windows-wsl2", "address": "192.168.1.50", "user": "me", **keys}


def load(**keys: Any) -> WindowsSpec:
    found = config.parse({"hosts": {"home": entry(**keys)}}, "Pulumi.x.yaml").hosts["home"]
    assert isinstance(found, WindowsSpec)
    return found


def mistakes(**keys: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(**keys)
    lines = str(refused.value).splitlines()
    assert all(line.startswith(BEGINS) and line.endswith(".") and not line.endswith("..") for line in lines), lines
    return [line.removeprefix(BEGINS) for line in lines]


class TestVariables:
    def test_every_topic_takes_what_the_entry_gives(self, stack: Stack) -> None:
        spec = load(
            allow_from=["192.168.1.0/24", "100.64.0.0/10"],
            ports={8000: "192.168.1.0/24"},
            rdp="192.168.1.0/24",
            allow_reboot=True,
            wsl={"memory": 24, "processors": 8, "swap": 0, "location": "D:\\wsl", "settings": {"wsl2": {"ipv6": True}}},
            power={"sleep": None, "wake_on_lan": True},
        )
        given = json.loads(json.dumps(spec.host_variables()))
        for topic in topics.TOPICS:
            if (Path(topics.__file__).parent / f"{topic}.py").exists():
                topics.wanted(topic, given)
        network = topics.wanted("network", given)
        assert network.allow_from == ("192.168.1.0/24", "100.64.0.0/10")
        assert network.ports == {8000: "192.168.1.0/24"}
        assert topics.wanted("wslconfig", given).settings == {"wsl2": {"ipv6": True}}
        power = topics.wanted("power", given)
        assert (power.sleep_minutes, power.fast_startup, power.wake_on_lan) == (None, False, True)
        assert given["win_wsl_allow_reboot"] is True

    def test_what_is_not_given_is_left_to_the_roles(self) -> None:
        found = load().host_variables()
        for name in ("win_wslconfig_memory", "win_distribution_url", "win_power_sleep_minutes", "win_rdp_allow_from"):
            assert name not in found
        shared = {name: value for name, value in found.items() if name.endswith(("_distribution", "distribution_name"))}
        assert set(shared.values()) == {"Ubuntu-24.04"}

    def test_an_exposed_service_is_let_through_at_its_outer_port(self) -> None:
        spec = load(
            services=["jupyter"],
            environments=["starter"],
            expose={"jupyter": "192.168.1.0/24"},
            ports={8000: "10.0.0.0/24"},
        )
        found = spec.host_variables()
        assert found["win_network_ports"] == {"8000": "10.0.0.0/24", "18888": "192.168.1.0/24"}
        assert found["win_network_exposed"] == {"18888": "jupyter"}
        assert found["gpurig_expose"] == {"jupyter": "172.16.0.0/12"}  # whence the port proxy comes

    def test_mirrored_linux_sees_who_comes(self) -> None:
        spec = load(
            services=["jupyter"],
            environments=["starter"],
            expose={"jupyter": "192.168.1.0/24"},
            wsl={"networking": "mirrored"},
        )
        assert spec.host_variables()["gpurig_expose"] == {"jupyter": "192.168.1.0/24"}

    @pytest.mark.parametrize(
        ("user", "linux"),
        [
            ("me", "me"),
            ("John Smith", "johnsmith"),
            ("DESK\\J.Doe", "jdoe"),
            ("anna@example.org", "anna"),
            ("42", "me"),
            ("Jürgen", "jrgen"),
            ("root", "me"),
        ],
    )
    def test_the_linux_user_is_the_windows_one_as_linux_takes_it(self, user: str, linux: str) -> None:
        assert load(user=user).linux_user() == linux
        assert load(user=user, wsl={"user": "dev"}).linux_user() == "dev"


class TestMistakes:
    @pytest.mark.parametrize(
        ("keys", "said"),
        [
            (
                {"wsl": {"distribution": "Ubuntu-24.40"}},
                "wsl.distribution: no pinned distribution is called 'Ubuntu-24.40'",
            ),
            ({"wsl": {"distribution": {"name": "x", "url": "https://a/b"}}}, "wsl.distribution.sha256: missing"),
            ({"wsl": {"memory": 0}}, "wsl.memory: found 0"),
            ({"wsl": {"swap": -1}}, "wsl.swap: found -1"),
            ({"wsl": {"memroy": 8}}, "wsl.memroy: unknown key (did you mean 'memory'?)"),
            ({"wsl": {"location": "wsl"}}, "wsl.location: found 'wsl'"),
            ({"wsl": {"networking": "bridged"}}, "wsl.networking: found 'bridged'"),
            ({"ports": {8000: None}}, "ports.8000: no source range; write the addresses that may reach it"),
            ({"ports": {8000: "192.168.1.7/24"}}, "ports.8000: found '192.168.1.7/24', an address within a network"),
            ({"ports": {8000: "0.0.0.0/0"}}, "ports.8000: found '0.0.0.0/0', which is everybody"),
            ({"ports": {70000: "10.0.0.0/24"}}, "ports.70000: 70000 is no port"),
            ({"ports": {"http": "10.0.0.0/24"}}, "ports.http: not a good name; use a port from 1 to 65535"),
            ({"ports": {22: "10.0.0.0/24"}}, "ports.22: 22 is already taken by port (Windows' own sshd)"),
            ({"ports": {2222: "10.0.0.0/24"}}, "ports.2222: 2222 is already taken by wsl.port"),
            ({"ports": {3389: "10.0.0.0/24"}, "rdp": "10.0.0.0/24"}, "ports.3389: 3389 is already taken by rdp"),
            ({"port": 2222}, "wsl.port: 2222 is already taken by port"),
            (
                {"ports": {5357: "10.0.0.0/24"}, "wsl": {"networking": "mirrored"}},
                "ports.5357: Windows keeps 5357 for itself with wsl.networking: mirrored",
            ),
            ({"allow_from": "home"}, "allow_from.0: found 'home', which is no range of addresses"),
            ({"allow_from": []}, "allow_from: found"),
            ({"rdp": "everybody"}, "rdp: found 'everybody'"),
            ({"user": "a/b"}, "user: found 'a/b': write the account's name as `whoami` shows it"),
            ({"nvidia_driver": "580"}, "nvidia_driver: the driver of WSL2 is that of Windows"),
            ({"init": "none"}, "init: only with `os: linux`"),
            (
                {"wsl": {"settings": {"wsl2": {"memory": "8GB"}}}},
                "wsl.settings.wsl2.memory: has a key of its own; write wsl.memory",
            ),
            (
                {"wsl": {"settings": {"experimental": {"sparseVhd": True}}}},
                "wsl.settings.experimental.sparseVhd: true: sparse disks",
            ),
            (
                {"wsl": {"settings": {"wsl2": {"kernelCommandLine": "nvidia-drm.modeset=1"}}}},
                "wsl.settings.wsl2.kernelCommandLine: nvidia-drm.modeset=1: WSL has no kernel module of NVIDIA's",
            ),
            (
                {"wsl": {"settings": {"wsl2": {"nonsense": 1}}}},
                "wsl.settings.wsl2.nonsense: has no effect: WSL does not know it",
            ),
        ],
    )
    def test_a_mistake_names_its_key(self, keys: dict[str, Any], said: str) -> None:
        (line,) = mistakes(**keys)
        assert line.startswith(said)

    def test_all_are_told_at_once(self) -> None:
        assert len(mistakes(ports={8000: "x", 22: "10.0.0.0/24"}, allow_from="y", rdp="z")) == 4

    def test_a_linux_entry_is_told_what_the_windows_keys_need(self) -> None:
        with pytest.raises(ConfigError) as refused:
            config.parse({"hosts": {"home": {**entry(wsl={}), "os": "linux"}}}, "Pulumi.x.yaml")
        assert str(refused.value) == f"{BEGINS}wsl: only with `os: windows-wsl2`; write that, or remove this."

    def test_an_unknown_os_names_those_there_are(self) -> None:
        with pytest.raises(ConfigError, match=r"home\.os: found 'windows': write linux, or windows-wsl2"):
            config.parse({"hosts": {"home": {**entry(), "os": "windows"}}}, "Pulumi.x.yaml")

    def test_no_other_host_may_have_the_name_of_one_of_its_sides(self) -> None:
        hosts = {"home": entry(), "home-wsl": {"provider": "container"}}
        with pytest.raises(ConfigError, match=r"hosts\.home-wsl: home calls one of its machines so"):
            config.parse({"hosts": hosts}, "Pulumi.x.yaml")


class TestSchema:
    @pytest.mark.parametrize(
        "keys",
        [{}, {"wsl": {"distribution": "Ubuntu-24.04"}}, {"allow_from": "LocalSubnet"}, {"ports": {"80": "10.0.0.0/8"}}],
    )
    def test_editors_take_what_is_right(self, keys: dict[str, Any]) -> None:
        assert jsonschema.Draft202012Validator(schema.stack_file()).is_valid(document(entry(**keys)))

    @pytest.mark.parametrize(
        "keys",
        [
            {"os": "linux", "wsl": {}},
            {"init": "none"},
            {"wsl": {"memory": 0}},
            {"ports": {"x": "10.0.0.0/8"}},
            {"os": "win"},
        ],
    )
    def test_editors_refuse_what_is_wrong(self, keys: dict[str, Any]) -> None:
        assert not jsonschema.Draft202012Validator(schema.stack_file()).is_valid(document({**entry(), **keys}))


def document(host: dict[str, Any]) -> dict[str, Any]:
    return {"config": {"gpurig:hosts": {"home": host}}}


class TestRecord:
    @pytest.fixture
    def home(self, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Host:
        from gpurig import reach
        from gpurig.providers.workstation import client

        monkeypatch.setattr(reach, "probe_port", lambda *_: None)
        monkeypatch.setattr(reach, "wait", lambda *_, **__: None)
        monkeypatch.setattr(client, "host_keys", lambda *_: [HOST_KEY])
        self.told: list[str] = []
        return lifecycle.ensure(stack, "home", load(host_key=keys.fingerprint(HOST_KEY)), report=self.told.append)

    def test_it_is_two_machines(self, stack: Stack, home: Host) -> None:
        (windows, outer, _), (linux, inner, inside) = home.machines()
        assert (windows, outer.shell, outer.host_key, outer.port) == ("home-win", "powershell", HOST_KEY, 22)
        assert (linux, inner.address, inner.port, inner.jump) == ("home-wsl", "127.0.0.1", 2222, "home-win")
        assert inner.host_key == keys.public_half(keys.host_key(stack, "home", 1))
        assert (inside.gpu_driver, inside.init, inside.privilege) == ("windows", "systemd", "sudo")
        assert "home-wsl: comes with `ansible-playbook playbooks/site.yml --limit home`" in self.told

    def test_it_survives_json_and_asks_for_nothing_then(self, home: Host) -> None:
        again = Host.from_dict(json.loads(json.dumps(home.to_dict())))
        assert again == home
        spec = load(host_key=keys.fingerprint(HOST_KEY), ports={8000: "10.0.0.0/24"})
        told = json.loads(json.dumps(spec.normalised()))
        assert providers.spec_of(told) is WindowsSpec
        assert providers.spec_of(told).model_validate(told).normalised() == spec.normalised()
        assert lifecycle.compare(told, spec.normalised()).kind == "none"

    def test_linux_instead_is_another_host(self, home: Host) -> None:
        linux = config.parse({"hosts": {"home": {**entry(), "os": "linux"}}}, "x").hosts["home"]
        assert linux.fingerprint() != load().fingerprint()
        assert lifecycle.compare(linux.normalised(), load().normalised()).kind == "replace"

    def test_straight_to_the_port_where_the_entry_says_so(self) -> None:
        guest = load(reach="direct").guest("home", HOST_KEY)
        assert (guest.endpoint.address, guest.endpoint.port, guest.endpoint.jump) == ("192.168.1.50", 2222, None)

    def test_its_keys_are_found_here_and_are_in_no_record(self, stack: Stack, home: Host) -> None:
        found = variables.of_host(stack, home)
        assert Path(found["win_linux_host_key"]).is_file()
        assert found["win_linux_public_key"].startswith("ssh-ed25519 ")
        assert str(stack.dir) not in json.dumps(home.to_dict())

    def test_ending_it_only_forgets_it(self, stack: Stack, home: Host) -> None:
        lifecycle.end(stack, "home", ["workstation"], report=lambda _: None)
        assert providers.provider("workstation").machines(stack, Owner("unit", "test", "home")) == []


def test_secrets_and_verdicts_are_those_of_the_linux_side(stack: Stack) -> None:
    """Roles and verification know the machine by its own name, commands by the entry's."""
    from gpurig import services
    from gpurig.ops import shell, status
    from gpurig.remote import Place
    from gpurig.tunnel import Forward
    from tests.unit.far import host

    pc = replace(host("home"), services=("jupyter",), guest=load().guest("home", HOST_KEY))
    service = services.of_host(pc)["jupyter"]
    token = services.token(stack.dir, "home-wsl", "jupyter")
    assert token in shell._address(Place(stack, pc), Forward(service, 8888))
    report = stack.dir / "reports" / "home-wsl" / "latest.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"label": pc.label, "verdict": "PASS", "started": "2026-11-22T00:00:00+00:00"}))
    assert status._verdict(stack, pc, []) == "PASS"


def test_fabric_knows_the_linux_side_by_the_entrys_name(stack: Stack) -> None:
    from gpurig import records
    from gpurig.ops import connection
    from tests.unit.far import host

    pc = replace(host("home"), guest=load(reach="direct").guest("home", HOST_KEY))
    records.save(stack, pc)
    assert [connection.connection(name, stack).port for name in ("home", "home-wsl", "home-win")] == [2222, 2222, 22]


@pytest.mark.parametrize(
    ("side", "stderr", "said"),
    [
        (
            "win",
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
            "run the script of `rig bootstrap home` there once more",
        ),
        (
            "win",
            "me@192.168.1.50: Permission denied (publickey).",
            "hosts.home.user: Windows does not let me in with our key",
        ),
        ("win", "no matching host key type found", "`rig register home --fingerprint SHA256:…`"),
        (
            "wsl",
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
            "`ansible-playbook playbooks/site.yml --limit home`",
        ),
        ("wsl", "me@127.0.0.1: Permission denied (publickey).", "`rig doctor home` tells which it is"),
    ],
)
def test_what_ssh_says_is_told_as_it_must_be_mended_there(side: str, stderr: str, said: str) -> None:
    from gpurig import reach
    from gpurig.host import Endpoint

    windows = Endpoint(address="192.168.1.50", port=22, user="me", host_key=HOST_KEY, shell="powershell")
    endpoint = windows if side == "win" else load().guest("home", HOST_KEY).endpoint
    told = str(reach.diagnose(stderr, f"home-{side}", endpoint, "gpurig:hosts.home", "key.pub"))
    assert said in told
    assert "authorized_keys" not in told
