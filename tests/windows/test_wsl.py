"""Topic wsl, and with topic distribution the way from a fresh PC to a distribution."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpurig.windows import packages, topics
from tests.windows.model import boot, wsl_exe, wsl_vm
from tests.windows.model.fresh import fresh
from tests.windows.model.pc import Machine, PowerLostError
from tests.windows.rounds import converge, look, talk

PINNED = "2.6.3.0"

ANOTHER = {
    "win_wsl_msi_version": "2.9.4",
    "win_wsl_msi_url": "https://example.org/wsl.2.9.4.0.x64.msi",
    "win_wsl_msi_sha256": "ab" * 32,
}


def decide(machine: Machine, variables: dict[str, Any] | None = None) -> Any:
    return topics.decide("wsl", look(machine, *topics.sections("wsl")), variables or {})


def with_wsl(version: str = PINNED, **changes: Any) -> Machine:
    """A PC on which somebody set WSL up already."""
    machine = Machine(fresh(**changes))
    machine.data["features"][wsl_vm.VMP] = "enabled"
    machine.data["wsl"]["version"] = version
    machine.data["services"]["WSLService"] = {"state": "running", "start": "auto"}
    boot.boot(machine)
    return machine


def test_a_fresh_pc_gets_feature_and_package_with_one_restart() -> None:
    machine = Machine(fresh())
    first = converge(machine, "wsl", {})
    assert [action.kind for action in first.actions] == ["file_fetch", "feature_enable", "msi_install"]
    assert first.reboot
    assert machine.data["boots"] == 2
    assert machine.data["wsl"]["version"] == PINNED
    assert wsl_vm.possible(machine)


def test_windows_10_gets_the_old_feature_as_well() -> None:
    machine = Machine(fresh(build=19045))
    converge(machine, "wsl", {})
    assert machine.data["features"] == {wsl_vm.VMP: "enabled", wsl_vm.INBOX: "enabled"}
    assert wsl_vm.possible(machine)


@pytest.mark.parametrize("language", ["en-US", "de-DE", "zh-CN"])
def test_the_display_language_does_not_matter(language: str) -> None:
    machine = Machine(fresh(language=language))
    converge(machine, "wsl", {})
    converge(machine, "distribution", {})
    assert wsl_exe.run(machine, ["--list", "--quiet"])[1].decode("utf-16-le") == "Ubuntu-24.04\r\n"


def test_a_hypervisor_that_was_switched_off_is_switched_on() -> None:
    machine = with_wsl(hypervisor_launch="off")
    first = converge(machine, "wsl", {})
    assert [action.kind for action in first.actions] == ["bcd_set"]
    assert first.reboot
    assert wsl_vm.possible(machine)


def test_nothing_restarts_where_nothing_waits_for_it() -> None:
    plan = decide(with_wsl())
    assert (plan.actions, plan.reboot, plan.refusals, plan.warnings) == ((), "", (), ())


def test_an_older_wsl_is_upgraded() -> None:
    machine = with_wsl("2.4.13.0")
    converge(machine, "wsl", {})
    assert machine.data["wsl"]["version"] == PINNED


def test_an_older_wsl_is_kept_while_a_distribution_runs() -> None:
    machine = with_wsl("2.4.13.0")
    wsl_vm.install(machine, "Debian", "")
    wsl_vm.start(machine, "Debian")
    plan = decide(machine)
    assert plan.actions == ()
    assert "Debian" in plan.warnings[0]
    assert "win_wsl_upgrade" in plan.warnings[0]
    assert [action.kind for action in decide(machine, {"win_wsl_upgrade": True}).actions] == [
        "file_fetch",
        "msi_install",
    ]


def test_a_wsl_too_old_for_files_is_refused_while_a_distribution_runs() -> None:
    machine = with_wsl("2.2.4.0")
    wsl_vm.install(machine, "Debian", "")
    wsl_vm.start(machine, "Debian")
    assert decide(machine).refusals[0].key == "variables"


@pytest.mark.parametrize(("version", "kinds"), [("2.6.3.0 (a1b2c3)", []), ("", ["file_fetch", "msi_install"])])
def test_a_version_with_words_or_none_is_no_riddle(version: str, kinds: list[str]) -> None:
    state: Any = look(with_wsl(), *topics.sections("wsl"))
    state["wsl"]["msi_version"] = version
    assert [action.kind for action in topics.decide("wsl", state, {}).actions] == kinds


def half(version: str = PINNED) -> Machine:
    """A PC on which an update of Windows left WSL's program, but not its service."""
    machine = with_wsl(version)
    del machine.data["services"]["WSLService"]
    return machine


def test_a_wsl_without_its_service_is_installed_again() -> None:
    machine = half()
    first = converge(machine, "wsl", {})
    assert [(action.kind, action.parameters.get("repair")) for action in first.actions] == [
        ("file_fetch", None),
        ("msi_install", True),
    ]
    assert "WSLService is not registered" in first.actions[-1].says
    assert "WSLService" in machine.data["services"]


def test_a_wsl_that_is_not_registered_is_installed_again() -> None:
    machine = with_wsl()
    machine.data["wsl"]["fails"] = "REGDB_E_CLASSNOTREG"
    first = converge(machine, "wsl", {})
    assert [action.kind for action in first.actions] == ["file_fetch", "msi_install"]
    assert first.actions[-1].parameters["repair"] is True


def test_where_a_feature_is_off_that_comes_first() -> None:
    machine = with_wsl()
    machine.data["wsl"]["fails"] = "REGDB_E_CLASSNOTREG"
    machine.data["features"][wsl_vm.VMP] = "disabled"
    plan = decide(machine)
    assert [action.kind for action in plan.actions] == ["feature_enable"]
    assert plan.reboot


def test_another_version_is_no_repair() -> None:
    machine = half("2.4.13.0")
    first = converge(machine, "wsl", {})
    assert first.actions[-1].parameters["repair"] is False
    assert machine.data["wsl"]["version"] == PINNED


def test_a_newer_wsl_without_its_service_needs_its_own_package() -> None:
    machine = half("2.9.4.0")
    assert [one.key for one in decide(machine).refusals] == ["wsl.msi"]
    machine.data["internet"] = {ANOTHER["win_wsl_msi_url"]: {"sha256": "ab" * 32, "size": 1, "msi": "2.9.4.0"}}
    converge(machine, "wsl", ANOTHER)
    assert "WSLService" in machine.data["services"]


def test_nothing_is_repaired_under_somebodys_work() -> None:
    machine = half()
    wsl_vm.install(machine, "Debian", "")
    wsl_vm.start(machine, "Debian")
    refused = decide(machine).refusals[0]
    assert refused.key == "variables"
    assert "would stop Debian" in refused.text
    assert decide(machine, {"win_wsl_upgrade": True}).actions[-1].parameters["repair"] is True


def test_a_newer_wsl_stays() -> None:
    plan = decide(with_wsl("2.9.4.0"))
    assert plan.actions == ()
    assert "2.9.4.0 is newer" in plan.warnings[0]


def test_the_owners_own_package_is_installed() -> None:
    machine = Machine(fresh(internet={ANOTHER["win_wsl_msi_url"]: {"sha256": "ab" * 32, "size": 1, "msi": "2.9.4.0"}}))
    converge(machine, "wsl", ANOTHER)
    assert machine.data["wsl"]["version"] == "2.9.4.0"


@pytest.mark.parametrize(
    ("variables", "key"),
    [
        ({"win_wsl_msi_version": "2.9.4"}, "wsl.msi.url"),
        ({**ANOTHER, "win_wsl_msi_sha256": "1234"}, "wsl.msi.sha256"),
        ({**ANOTHER, "win_wsl_msi_url": "http://example.org/wsl.msi"}, "wsl.msi.url"),
        ({**ANOTHER, "win_wsl_msi_version": "2.3.24"}, "wsl.msi.version"),
        ({**ANOTHER, "win_wsl_msi_version": "newest"}, "wsl.msi.version"),
    ],
)
def test_a_package_without_its_checksum_is_refused(variables: dict[str, Any], key: str) -> None:
    plan = decide(Machine(fresh()), variables)
    assert key in [refusal.key for refusal in plan.refusals]
    assert plan.actions == ()


def test_the_pinned_version_needs_no_more_however_it_is_written() -> None:
    assert decide(Machine(fresh()), {"win_wsl_msi_version": "2.6.3"}).refusals == ()


def test_a_hypervisor_that_nobody_ever_set_is_switched_on() -> None:
    machine = with_wsl()
    machine.data |= {"hypervisor_launch": None, "hypervisor": False}
    first = converge(machine, "wsl", {})
    assert [action.kind for action in first.actions] == ["bcd_set"]
    assert wsl_vm.possible(machine)


def test_a_restart_that_was_not_made_is_asked_for_again() -> None:
    machine = with_wsl(hypervisor_launch="off")
    assert talk(machine, decide(machine).actions, {}).failed() is None
    plan = decide(machine)
    assert plan.actions == ()
    assert plan.reboot


def test_a_wrong_checksum_changes_nothing() -> None:
    pinned = packages.msi(look(Machine(fresh()), "machine")["machine"])[1]
    machine = Machine(fresh(internet={pinned.url: {"sha256": "00" * 32, "size": 1, "msi": PINNED}}))
    before = machine.snapshot()
    failed = talk(machine, decide(machine).actions, {}).failed()
    assert failed is not None
    assert failed.problem is not None
    assert pinned.sha256 in failed.problem["message"]
    ours: dict[str, Any] = {"blobs": {}, "acls": {}}  # our own folder was closed to others
    assert {**machine.data, **ours} == {**before, **ours}
    assert machine.data["blobs"] == {}


def test_without_rights_nothing_is_tried() -> None:
    machine = Machine(fresh())
    machine.data["login"]["elevated"] = False
    plan = decide(machine)
    assert plan.actions == ()
    assert [refusal.key for refusal in plan.refusals] == ["user"]


def test_a_policy_that_forbids_wsl_is_told() -> None:
    machine = Machine(fresh())
    machine.registry("HKLM:\\SOFTWARE\\Policies\\WSL")["AllowWSL"] = 0
    assert "AllowWSL" in decide(machine).refusals[0].text


def test_a_section_that_could_not_be_read_is_told() -> None:
    state: Any = look(Machine(fresh()), *topics.sections("wsl"))
    state["features"] = {"error": {"message": "Invalid class", "id": "", "hresult": "0x80041010"}}
    plan = topics.decide("wsl", state, {})
    assert "Invalid class" in plan.refusals[0].text


def test_power_lost_at_any_step_is_made_up_for() -> None:
    """Feature, restart, package, distribution: wherever the power goes off, running it again gets there."""
    for at in range(1, 60):
        machine = Machine(fresh(), power_lost_at=at)
        lost = False
        for _ in range(3):
            try:
                converge(machine, "wsl", {})
                converge(machine, "distribution", {})
                break
            except PowerLostError:
                lost = True
        else:
            raise AssertionError(f"step {at}: does not get there")
        assert [values["DistributionName"] for _, values in wsl_vm.entries(machine)] == ["Ubuntu-24.04"]
        assert wsl_vm.entries(machine)[0][1]["State"] == wsl_vm.INSTALLED
        if not lost:
            assert at > 10
            return
    raise AssertionError("more steps than were tried")


@pytest.mark.parametrize("architecture", ["AMD64", "ARM64"])
def test_everything_pinned_has_an_address_and_a_checksum(architecture: str) -> None:
    machine = look(Machine(fresh(architecture=architecture)), "machine")["machine"]
    version, msi = packages.msi(machine)
    files = [msi, *filter(None, (packages.distribution(name, machine) for name in packages.distributions()))]
    assert len(files) == 3
    for file in files:
        assert file.url.startswith("https://")
        assert packages.is_sha256(file.sha256)
        assert any(word in file.url for word in {"AMD64": ("amd64", "x64"), "ARM64": ("arm64",)}[architecture])
    assert packages.version(version) >= packages.version(packages.MINIMUM)
    assert topics.wanted("distribution", {}).name in packages.distributions()


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """PCs in every state that their owners left them in."""
    builds = st.sampled_from([19045, 22000, 22631, 26100])
    languages, launches = st.sampled_from(["en-US", "de-DE", "zh-CN"]), st.sampled_from([None, "auto", "off"])
    machine = Machine(fresh(build=draw(builds), hypervisor_launch=draw(launches), language=draw(languages)))
    machine.data["features"][wsl_vm.VMP] = draw(st.sampled_from(["enabled", "disabled"]))
    machine.data["wsl"]["version"] = draw(st.sampled_from([None, "2.2.4.0", "2.4.13.0", PINNED, "2.9.4.0"]))
    whole = machine.data["wsl"]["version"] is not None and draw(st.booleans())
    if whole:
        machine.data["services"]["WSLService"] = {"state": "running", "start": "auto"}
    boot.boot(machine)
    if machine.data["features"][wsl_vm.VMP] == "disabled" and draw(st.booleans()):
        machine.data["pending"].append(wsl_vm.VMP)
    for name in draw(st.lists(st.sampled_from(["Debian", "docker-desktop", "Ubuntu"]), unique=True)):
        wsl_vm.install(machine, name, f"D:\\{name}")
        if whole and wsl_vm.possible(machine) and draw(st.booleans()):
            wsl_vm.start(machine, name)
    return machine


@given(machine=machines(), upgrade=st.booleans())
@settings(max_examples=200)
def test_every_pc_settles_and_others_distributions_stay(machine: Machine, upgrade: bool) -> None:
    variables = {"win_wsl_upgrade": upgrade}
    before = {guid: dict(values) for guid, values in wsl_vm.entries(machine)}
    refused = [one.key for one in decide(machine, variables).refusals]
    if refused == ["wsl.msi"]:
        assert "WSLService" not in machine.data["services"]
        assert machine.data["wsl"]["version"] == "2.9.4.0"
        return
    if refused:
        assert not upgrade
        assert machine.data["wsl"]["running"]
        assert machine.data["wsl"]["version"] == "2.2.4.0"
        return
    converge(machine, "wsl", variables)
    converge(machine, "distribution", {})
    assert {guid: dict(values) for guid, values in wsl_vm.entries(machine) if guid in before} == before
    assert len(wsl_vm.entries(machine)) == len(before) + 1
