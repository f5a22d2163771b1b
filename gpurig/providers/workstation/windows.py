"""Configuration of a Windows PC with WSL2: one entry, two inventory hosts, Windows and the Linux within."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from gpurig.host import Capabilities, Endpoint, Guest
from gpurig.providers.workstation import windows_checks
from gpurig.providers.workstation.registered import Registered
from gpurig.spec import SourceRange

LINUX = Capabilities(init="systemd", gpu_driver="windows", kernel="own", privilege="sudo", can_stop=False)

WSL_NETWORKS = "172.16.0.0/12"
"""From here comes, to the Linux side, all that the port proxy of Windows hands on; whom it serves is up to Windows' firewall."""

LAST_PORT = 65_535

FORBIDDEN = frozenset('"/[]:;|=,+*?<>')
"""What no account's name may have (Microsoft's naming conventions of SAM account names)."""


def _text(key: object) -> object:
    """YAML reads 8000 as a number, JSON has names only."""
    return str(key) if isinstance(key, int) and not isinstance(key, bool) else key


def _is_port(key: str) -> str:
    if not 1 <= int(key) <= LAST_PORT:
        raise ValueError(f"{key} is no port; write one from 1 to {LAST_PORT}")
    return str(int(key))


def _account(name: str) -> str:
    if name != name.strip() or FORBIDDEN & {*name} or any(ord(sign) < 32 for sign in name):  # noqa: PLR2004 (a blank)
        raise ValueError("write the account's name as `whoami` shows it on the PC, without the computer's")
    return name


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _by_name(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _name_or_mapping(schema: dict[str, Any]) -> None:
    """Both ways to write `distribution`, for editors."""
    schema["anyOf"] = [{"type": "string"}, {"$ref": schema.pop("$ref")}] if "$ref" in schema else schema.get("anyOf")


def _range_or_list(schema: dict[str, Any]) -> None:
    """Both ways to write `allow_from`."""
    several = {key: schema.pop(key) for key in ("type", "items")}
    schema["anyOf"] = [{"type": "string"}, several]


Port = Annotated[str, BeforeValidator(_text), StringConstraints(pattern=r"^[0-9]{1,5}$"), AfterValidator(_is_port)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", to_lower=True)]
Url = Annotated[str, StringConstraints(pattern=r"^(https://[^\s'\"]+|[A-Za-z]:\\[^\"<>|?*:]+)$")]
"""Where a file is to be had: on the network, or on the PC itself."""

Folder = Annotated[str, StringConstraints(pattern=r'^[A-Za-z]:\\[^"<>|?*:]*$')]
Account = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_account)]
"""A Windows account as Windows' sshd takes it: also DOMAIN\\name or name@domain, with blanks, dots and capitals."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Distribution(_Part):
    """name: as WSL lists it, of gpurig/windows/wsl.toml; any other needs the file that it is made from."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="As `wsl --list` shall show it.")
    url: Url | None = Field(default=None, description="A .wsl file or root file system; default: the pinned one.")
    sha256: Sha256 | None = Field(default=None, description="SHA-256 of that file.")


class Msi(_Part):
    """WSL itself, as an MSI of its own."""

    version: str = Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+(\.[0-9]+)?$", description="Such as 2.6.3.")
    url: Url
    sha256: Sha256


class Wsl(_Part):
    """The Linux within. Memory, processors and swap that are left out are computed from the PC's."""

    distribution: Annotated[Distribution, BeforeValidator(_by_name)] = Field(
        default=Distribution(name=windows_checks.DISTRIBUTION),
        description="Name of a pinned distribution, or {name, url, sha256} of one of your own.",
        json_schema_extra=_name_or_mapping,
    )
    location: Folder | None = Field(default=None, description=r"Folder for its disk on the PC, such as D:\wsl.")
    user: str | None = Field(
        default=None, pattern=r"^[a-z_][a-z0-9_-]{0,31}$", description="Linux user; default: from the Windows user's."
    )
    port: int = Field(default=2222, ge=1024, le=LAST_PORT, description="Port of its sshd.")
    memory: int | None = Field(default=None, ge=1, le=65_536, description="Most memory that it may take, in GB (2^30).")
    processors: int | None = Field(default=None, ge=1, le=1024, description="Logical processors that it may use.")
    swap: int | None = Field(default=None, ge=0, le=65_536, description="Swap file in GB (2^30); 0 for none.")
    networking: Literal["nat", "mirrored"] = Field(
        default="nat", description="`mirrored` shares Windows' own addresses; Windows 11 22H2 and later."
    )
    settings: dict[str, dict[str, str | bool | int | float]] = Field(
        default_factory=dict, description="Further keys of .wslconfig: section → key → value."
    )
    msi: Msi | None = Field(default=None, description="Another WSL than the pinned one.")


class Power(_Part):
    """When the PC sleeps, and what wakes it."""

    sleep: int | None = Field(
        default=0, ge=0, le=35_791, description="Minutes unused on mains power; 0: never; null: as it is."
    )
    fast_startup: bool | None = Field(
        default=False, description="Whether a shut-down may only hibernate Windows; null: as it is."
    )
    wake_on_lan: bool | None = Field(default=None, description="Whether a magic packet wakes it; null: as it is.")


class WindowsSpec(Registered):
    """A Windows PC with WSL2 whose owner ran the script of `rig bootstrap` once."""

    fixed: ClassVar[frozenset[str]] = frozenset({"provider", "os"})
    console: ClassVar[str] = "Compare it with the last line that bootstrap's script printed on the PC"
    drivers: ClassVar[str] = "windows"

    os: Literal["windows-wsl2"]
    user: Account = Field(description="Windows account that owns WSL's distributions; an administrator.")
    allow_from: Annotated[tuple[SourceRange, ...], BeforeValidator(_one_or_more)] = Field(
        default=(windows_checks.LOCAL_SUBNET,),
        min_length=1,
        description="Addresses from which SSH is let in, such as 192.168.1.0/24; one or a list. Default: the PC's own network.",
        json_schema_extra=_range_or_list,
    )
    allow_reboot: bool = Field(default=False, description="Whether site.yml may restart Windows where it must.")
    reach: Literal["jump", "direct"] = Field(
        default="jump", description="The Linux side through Windows' sshd, or straight to its port on the PC."
    )
    ports: dict[Port, SourceRange] = Field(
        default_factory=dict,
        description="Further ports of the Linux side that a network may reach, unencrypted: {8000: 192.168.1.0/24}.",
        json_schema_extra={"propertyNames": {"pattern": "^[0-9]{1,5}$"}},
    )
    connection: Literal["ssh", "psrp", "winrm"] = Field(
        default="ssh", description="How Ansible talks to Windows; see docs/windows.md before another than ssh."
    )
    gpu_driver: Literal["windows", "none"] = Field(
        default="windows", description="`none` for a PC without an NVIDIA GPU; its driver is Windows' own otherwise."
    )
    wsl: Wsl = Wsl()
    power: Power = Power()
    rdp: SourceRange | None = Field(default=None, description="Addresses that may use Remote Desktop; default: off.")

    def capabilities(self) -> Capabilities:
        """Of both sides: what Windows lends the Linux within."""
        return replace(LINUX, gpu_driver=self.gpu_driver)

    def linux_user(self) -> str:
        """The login of the Linux side."""
        own = re.split(r"[\\]", self.user)[-1].split("@")[0].lower()
        name = re.sub(r"[^a-z0-9_-]", "", own)[:32]
        return self.wsl.user or (name if re.match(r"[a-z_]", name) and name != "root" else "me")

    def names(self, host: str) -> tuple[str, ...]:
        return (host, f"{host}-win", f"{host}-wsl")

    def guest(self, host: str, host_key: str) -> Guest:
        jump = self.reach == "jump"
        endpoint = Endpoint(
            address="127.0.0.1" if jump else self.address,
            port=self.wsl.port,
            user=self.linux_user(),
            host_key=host_key,
            jump=f"{host}-win" if jump else None,
        )
        return Guest(name=f"{host}-wsl", endpoint=endpoint, capabilities=self.capabilities())

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from super().problems()
        yield from windows_checks.problems(self)

    def host_variables(self) -> dict[str, Any]:
        wsl, name = self.wsl, self.wsl.distribution.name
        exposed = windows_checks.exposed(self)
        ports: Mapping[str, str] = {
            **self.ports,
            **{str(one.port): str(one.source) for one in exposed.values()},
        }
        shared = {f"win_{topic}_distribution": name for topic in ("wsl", "linux", "keeper", "disk")}
        shared |= {f"win_{topic}_networking": wsl.networking for topic in ("wslconfig", "network")}
        always = {
            "win_wsl_allow_reboot": self.allow_reboot,
            "win_preflight_user": self.user,
            "win_preflight_distribution": name,
            "win_distribution_name": name,
            "win_linux_user": self.linux_user(),
            "win_linux_port": wsl.port,
            "win_network_ssh_port": self.port,
            "win_network_wsl_port": wsl.port,
            "win_network_reach": self.reach,
            "win_network_allow_from": list(self.allow_from),
            "win_network_ports": dict(ports),
        }
        given = {
            "win_distribution_url": wsl.distribution.url,
            "win_distribution_sha256": wsl.distribution.sha256,
            "win_wsl_distribution_url": wsl.distribution.url,
            "win_wsl_distribution_sha256": wsl.distribution.sha256,
            "win_distribution_location": wsl.location,
            "win_disk_location": wsl.location,
            "win_preflight_location": wsl.location,
            "win_wslconfig_memory": wsl.memory,
            "win_wslconfig_processors": wsl.processors,
            "win_wslconfig_swap": wsl.swap,
            "win_wslconfig_settings": wsl.settings or None,
            "win_wslconfig_msi_version": wsl.msi.version if wsl.msi else None,
            "win_network_exposed": {str(one.port): name for name, one in exposed.items()} or None,
            "win_rdp_allow_from": self.rdp,
            **({f"win_wsl_msi_{key}": value for key, value in wsl.msi.model_dump().items()} if wsl.msi else {}),
        }
        power = {
            f"win_power_{'sleep_minutes' if key == 'sleep' else key}": value
            for key, value in self.power.model_dump().items()
            if value != Power.model_fields[key].default
        }
        found = {key: value for key, value in given.items() if value is not None}
        if wsl.networking == "nat" and self.expose:
            found["gpurig_expose"] = dict.fromkeys(self.expose, WSL_NETWORKS)
        return {**super().host_variables(), **shared, **always, **found, **power}
