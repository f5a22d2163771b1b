"""What is read of a Windows PC: one section per script of powershell/collect/, as plain JSON.

A section that could not be read is {"error": Problem}. Times are ISO 8601 in UTC, sizes bytes, addresses text.
Nothing here depends on the display language; where only a program's own words can be had, they are kept as bytes (Native).
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class Native(TypedDict):
    """What a program said. out, err: Base64 of the bytes; code: None where it could not start or did not end in time."""

    code: int | None
    out: str
    err: str
    seconds: float


class Problem(TypedDict):
    """A PowerShell error. id: FullyQualifiedErrorId; hresult: such as 0x80070005. Neither depends on the language."""

    message: str
    id: str
    hresult: str


class User(TypedDict):
    """Who is logged in for us. admin: with an elevated token; session: 0 over SSH and in tasks."""

    name: str
    sid: str
    profile: str
    admin: bool
    session: int


class Drive(TypedDict):
    size: int
    free: int


class MachineSection(TypedDict):
    """The PC. drives: letter → room; hypervisor_launch: bcdedit's word, in lower case, None where nothing is set.

    edition: the registry's EditionID, such as Core (Home), Professional, Enterprise; firmware_virtualization is None where
    a running hypervisor hides it. owners: names of accounts of people on this PC with a profile, us included.
    """

    computer: str
    build: int
    revision: int
    edition: str
    architecture: str
    powershell: str
    language: str
    memory: int
    processors: int
    boot_time: str
    now: str
    user: User
    owners: list[str]
    domain: bool
    battery: bool
    firmware_virtualization: bool | None
    hypervisor_present: bool
    hypervisor_launch: str | None
    reboot_pending: bool
    drives: dict[str, Drive]


class Service(TypedDict):
    """state: running, stopped, …; start: auto, manual, disabled. In lower case."""

    state: str
    start: str


class FeaturesSection(TypedDict):
    """features: name → enabled, disabled or absent, as from the last boot. pending: names that wait for a reboot.

    Of VirtualMachinePlatform and Microsoft-Windows-Subsystem-Linux. services: of vmcompute, hns, iphlpsvc, SharedAccess, sshd,
    WSLService, LxssManager, winnat, TermService; those that do not exist are left out.
    """

    features: dict[str, str]
    pending: list[str]
    services: dict[str, Service]


class Distribution(TypedDict):
    """One entry of HKCU\\…\\Lxss. wsl: 1 or 2. state: the registry's State, 1 is installed. vhd: path and bytes of its disk."""

    guid: str
    name: str
    wsl: int
    base_path: str
    uid: int
    state: int
    default: bool
    vhd_path: str
    vhd_size: int | None


class WslSection(TypedDict):
    """WSL as our user has it.

    path: of the wsl.exe that we call, None where there is none; msi_version: that file's version; stub: System32's is there.
    version, running: what `--version` and `--list --running --quiet` say, in bytes. policy: values of
    HKLM\\Software\\Policies\\WSL. elsewhere: SID → names of distributions of other people who are logged on.
    config: the bytes of .wslconfig as Base64, None where there is no such file.
    vm_started: since when the VM runs, None where it does not. nat_address: the guest's last, from the registry.
    """

    path: str | None
    msi_version: str | None
    stub: bool
    version: Native | None
    running: Native | None
    distributions: list[Distribution]
    elsewhere: dict[str, list[str]]
    policy: dict[str, Any]
    config_path: str
    config: str | None
    vm_started: str | None
    nat_address: str | None


class Note(TypedDict):
    sha256: str
    time: str


class InsideSection(TypedDict):
    """What the distribution says of itself: facts.sh of gpurig/windows/inside, as `key=value` lines (see `inside.facts`).

    facts: None where there is no such distribution. note: the file that we write whenever we change a value of .wslconfig, and when.
    """

    distribution: str
    facts: Native | None
    note: Note | None


class Listener(TypedDict):
    """A listening TCP socket. service: the Windows service that owns it, such as iphlpsvc; empty where it is none."""

    address: str
    port: int
    process: str
    service: str


class FirewallRule(TypedDict):
    """An inbound rule of the host firewall. action: Allow or Block. profiles: any, or of domain, private, public.

    remote: any, LocalSubnet or ranges, as Windows has them: 192.168.1.0/255.255.255.0.
    """

    name: str
    display: str
    group: str
    enabled: bool
    action: str
    profiles: list[str]
    protocol: str
    ports: list[str]
    remote: list[str]


class FirewallProfile(TypedDict):
    """As in force (ActiveStore). block_all: AllowInboundRules is off. local_rules: AllowLocalFirewallRules is on."""

    name: str
    enabled: bool
    block_all: bool
    local_rules: bool


class HyperVRule(TypedDict):
    name: str
    enabled: bool
    action: str
    ports: list[str]
    remote: list[str]


class HyperV(TypedDict):
    """The firewall of WSL's VM, Windows 11 22H2 and later. inbound: its default, Block or Allow."""

    available: bool
    enabled: bool
    inbound: str
    rules: list[HyperVRule]


class NetworkSection(TypedDict):
    """portproxy: kind → the registry's entries, {"v4tov4": {"0.0.0.0/2222": "172.28.120.45/2222"}}.

    ours: those of v4tov4 that we made, such as 0.0.0.0/2222. client: the address from which SSH comes, None without SSH.
    excluded: [first, last] TCP ports that nobody may bind. firewall_rules: those that are enabled and inbound for a TCP port that
    was asked about, by its number, and all of our group. connections: interface → category (public, private, domain).
    addresses: interface → its IPv4 addresses with prefix.
    """

    portproxy: dict[str, dict[str, str]]
    ours: list[str]
    client: str | None
    listeners: list[Listener]
    excluded: list[list[int]]
    connections: dict[str, str]
    addresses: dict[str, list[str]]
    firewall_rules: list[FirewallRule]
    firewall_profiles: list[FirewallProfile]
    hyperv: HyperV


class KeeperSection(TypedDict):
    """The scheduled task that keeps WSL up. xml: its definition as Windows exports it; None where there is none.

    state: unknown, disabled, queued, ready, running, or empty without a task. script, settings: SHA-256 of the installed files, None
    where there is none. acls: of folder, script and settings, as far as they let somebody change it. result: LastTaskResult; log: last lines of its log;
    ups: when it had WSL up, as far as its log goes back.
    """

    xml: str | None
    state: str
    enabled: bool
    result: int | None
    last_run: str | None
    next_run: str | None
    script: str | None
    settings: str | None
    acls: dict[str, Acl | None]
    log: list[str]
    ups: list[str]


class WakeCard(TypedDict):
    adapter: str
    mac: str
    enabled: bool


class PowerSection(TypedDict):
    """Seconds without use after which the PC sleeps or hibernates on mains power; 0 is never, None unknown."""

    standby_ac: int | None
    hibernate_ac: int | None
    fast_startup: bool
    wake: list[WakeCard]


class RdpSection(TypedDict):
    """Remote Desktop. supported: False on Home editions, which have no server for it. nla: logs in before a session is made.

    policy: what a policy says about its being enabled, None where it is silent.
    """

    supported: bool
    enabled: bool
    policy: bool | None
    nla: bool
    port: int


class Acl(TypedDict):
    """sids: who is allowed anything, as SIDs; inherited: rights come from the folder above as well."""

    owner: str
    sids: list[str]
    inherited: bool


class SshdSection(TypedDict):
    """Windows' own sshd. config: Base64 of sshd_config; admin_keys: lines of administrators_authorized_keys, None without the file.

    default_shell: path in the registry. host_keys: public keys, `type base64`. source: capability, msi or empty.
    """

    source: str
    version: str
    config: str | None
    default_shell: str | None
    admin_keys: list[str] | None
    acl: Acl | None
    host_keys: list[str]


class GpuSection(TypedDict):
    """The GPU as Windows sees it. smi: `nvidia-smi.exe --query-gpu=name,driver_version,driver_model.current --format=csv,noheader`.

    adapters: name, driver's version and state code (0 works) of every display adapter. system: path of nvidia-smi.exe.
    """

    system: str | None
    smi: Native | None
    adapters: list[dict[str, Any]]


class SymptomsSection(TypedDict):
    """What only the doctor asks.

    session: Windows session of the relay of our user's WSL; only 0 outlasts a log-off; None where none runs.
    logoff, woke: when somebody last logged off, when the PC last woke from sleep; None where the log has none of it.
    memory_free: bytes of RAM that Windows has left; vm_memory: that WSL's VM takes. ipv6_components: DisabledComponents.
    winrm: state of its service, empty without it. answers: URL that was asked about → HTTP status, or what failed.
    """

    session: int | None
    logoff: str | None
    woke: str | None
    memory_free: int
    vm_memory: int | None
    ipv6_components: int
    winrm: str
    answers: dict[str, str]


Section = Literal[
    "machine", "features", "wsl", "inside", "network", "keeper", "power", "rdp", "sshd", "gpu", "symptoms"
]

SECTIONS: dict[str, type] = {
    "machine": MachineSection,
    "features": FeaturesSection,
    "wsl": WslSection,
    "inside": InsideSection,
    "network": NetworkSection,
    "keeper": KeeperSection,
    "power": PowerSection,
    "rdp": RdpSection,
    "sshd": SshdSection,
    "gpu": GpuSection,
    "symptoms": SymptomsSection,
}
"""Section → its form, in the order in which they are read."""


class State(TypedDict, total=False):
    """All that was read. A section is missing where it was not asked for."""

    machine: MachineSection
    features: FeaturesSection
    wsl: WslSection
    inside: InsideSection
    network: NetworkSection
    keeper: KeeperSection
    power: PowerSection
    rdp: RdpSection
    sshd: SshdSection
    gpu: GpuSection
    symptoms: SymptomsSection
