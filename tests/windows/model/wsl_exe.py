"""wsl.exe of the simulated PC: its verbs, its formats and what it refuses, as in microsoft/WSL's WslClient.cpp.

Its own words are UTF-16LE without a mark (UTF-8 with WSL_UTF8=1), on its output even when it fails, in the display language;
its own failures are code -1. What Linux says passes through as it is. Distributions are entries in the user's registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.windows.model import wsl_texts, wsl_vm
from tests.windows.model.pc import Machine

Said = tuple[int, bytes, bytes]
"""Exit code, output, errors."""

FAILED = -1

SYSTEM, VIRTUAL_MACHINES = "S-1-5-18", "S-1-5-83-0"

STATES = {wsl_vm.INSTALLING: "Installing", wsl_vm.UNINSTALLING: "Uninstalling"}


class WslError(Exception):
    """What wsl.exe ends with. code: its token, which no language changes; empty where it prints none."""

    def __init__(self, text: str, code: str = "", *values: object) -> None:
        super().__init__(text)
        self.text, self.code, self.values = text, code, values


def run(
    machine: Machine, arguments: Sequence[str], stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> Said:
    """`C:\\Program Files\\WSL\\wsl.exe` with these arguments."""
    encoding = "utf-8" if (environment or {}).get("WSL_UTF8") == "1" else "utf-16-le"

    def spoken(text: str) -> bytes:
        return (text + "\n").replace("\n", "\r\n").encode(encoding)

    try:
        said = _dispatch(machine, list(arguments), stdin)
    except WslError as error:
        text = wsl_texts.of(machine.data["language"], error.text, *error.values)
        if error.code:
            text = wsl_texts.of(machine.data["language"], "error_code", text, error.code)
        return FAILED, spoken(text), b""
    return said if isinstance(said, tuple) else (0, spoken(said) if said else b"", b"")


def stub(machine: Machine) -> Said:
    """System32's wsl.exe where nobody is logged on: it cannot open the Store's program."""
    text = wsl_texts.of(machine.data["language"], "stub")
    return FAILED, f"{text}\r\n".encode("utf-16-le"), b""


def _dispatch(machine: Machine, arguments: list[str], stdin: bytes) -> str | Said:
    verb = arguments[0] if arguments else ""
    if verb not in VERBS:
        raise WslError("argument", "", verb, "wsl.exe")
    if verb != "--version" and machine.user["sid"] == SYSTEM:
        raise WslError("system", "Wsl/WSL_E_LOCAL_SYSTEM_NOT_SUPPORTED")
    return VERBS[verb](machine, arguments[1:], stdin)


def _version(machine: Machine, rest: list[str], stdin: bytes) -> str:
    windows = f"10.0.{machine.data['build']}.{machine.data['revision']}"
    versions = (machine.data["wsl"]["version"], "6.6.87.2-1", "1.0.66", "1.2.6074", "1.611.1-81528511")
    core = "10.0.26100.1-240331-1435.ge-release"
    return wsl_texts.of(machine.data["language"], "versions", *versions, core, windows)


def _list(machine: Machine, rest: list[str], stdin: bytes) -> str | Said:
    """As ListDistributionsHelper: the default first; with --quiet none is no failure. It asks WSL's service by COM."""
    if machine.data["wsl"].get("fails") == "REGDB_E_CLASSNOTREG":
        raise WslError("failed", "Wsl/REGDB_E_CLASSNOTREG")
    _known(rest, {"--running", "--quiet", "-q", "--verbose", "-v", "--all"})
    quiet, verbose = "--quiet" in rest or "-q" in rest, "--verbose" in rest or "-v" in rest
    if (quiet and verbose) or {"--all", "--running"} <= set(rest):
        raise WslError("argument", "", " ".join(rest), "wsl.exe")
    default = wsl_vm.default(machine)
    entries = sorted(
        (values for _, values in wsl_vm.entries(machine)), key=lambda one: one["DistributionName"] != default
    )
    if verbose:
        return _table(machine, entries, default)
    running = machine.data["wsl"]["running"]
    if "--running" in rest:
        entries = [values for values in entries if values["DistributionName"] in running]
        if not entries and not quiet:
            raise WslError("none_running")
    names = [str(one["DistributionName"]) for one in entries if "--all" in rest or one["State"] == wsl_vm.INSTALLED]
    if quiet:
        return "\n".join(names)
    if not names:
        raise WslError("none_installed")
    language = machine.data["language"]
    said = [wsl_texts.of(language, "default", name) if name == default else name for name in names]
    return "\n".join([wsl_texts.of(language, "header"), *said])


def _table(machine: Machine, entries: Sequence[Mapping[str, Any]], default: str) -> str:
    if not entries:
        raise WslError("none_installed")
    names = [str(values["DistributionName"]) for values in entries]
    width = max(len("NAME"), *map(len, names)) + 4
    rows = [f"  {'NAME':{width}}{'STATE':16}VERSION"]
    for values, name in zip(entries, names, strict=True):
        state = "Running" if name in machine.data["wsl"]["running"] else STATES.get(values["State"], "Stopped")
        rows.append(f"{'*' if name == default else ' '} {name:{width}}{state:16}{wsl_vm.version(dict(values))}")
    return "\n".join(rows)


def _shutdown(machine: Machine, rest: list[str], stdin: bytes) -> str:
    _known(rest, {"--force"})
    wsl_vm.shutdown(machine)
    return ""


def _terminate(machine: Machine, rest: list[str], stdin: bytes) -> str:
    wsl_vm.stop(machine, _found(machine, rest, "Wsl/Service")[1])
    return wsl_texts.of(machine.data["language"], "done")


def _install(machine: Machine, rest: list[str], stdin: bytes) -> str:
    """From a file only: without one the real one looks after features and the Store as well, which nobody here asks it for."""
    given = _options(rest, {"--from-file", "--name", "--location", "--version"}, {"--no-launch"})
    version = given.get("--version") or str(machine.value(wsl_vm.LXSS, "DefaultVersion", 2))
    if "--from-file" not in given or version not in {"1", "2"}:
        raise WslError("argument", "", " ".join(rest), "wsl.exe")
    _require_vm(machine, "RegisterDistro")
    name = given["--name"]
    taken = wsl_vm.find(machine, name)
    if taken is not None:
        if taken[1]["State"] != wsl_vm.INSTALLED:
            raise WslError("failed", "Wsl/Service/RegisterDistro/E_ILLEGAL_STATE_CHANGE")
        raise WslError("exists", "Wsl/Service/RegisterDistro/ERROR_ALREADY_EXISTS")
    if given["--from-file"] not in machine.data.get("blobs", {}):
        raise WslError("failed", "Wsl/InstallDistro/ERROR_FILE_NOT_FOUND")
    location = given.get("--location", "")
    if location and any(wsl_vm.same(values["BasePath"], location) for _, values in wsl_vm.entries(machine)):
        raise WslError("place_taken", "Wsl/Service/RegisterDistro/ERROR_FILE_EXISTS")
    wsl_vm.install(machine, name, location, wsl=int(version))
    language = machine.data["language"]
    return f"{wsl_texts.of(language, 'installing', given['--from-file'])}\n{wsl_texts.of(language, 'installed', name)}"


def _export(machine: Machine, rest: list[str], stdin: bytes) -> str:
    guid, name = _found(machine, rest[:1], "Wsl/Service")
    _require_vm(machine, "ExportDistro")
    wsl_vm.export(machine, guid, name, rest[1])
    return wsl_texts.of(machine.data["language"], "exporting")


def _unregister(machine: Machine, rest: list[str], stdin: bytes) -> str:
    wsl_vm.remove(machine, *_found(machine, rest, "Wsl/Service", whole=False))
    return wsl_texts.of(machine.data["language"], "done")


def _manage(machine: Machine, rest: list[str], stdin: bytes) -> str:
    guid, name = _found(machine, rest[:1], "Wsl/Service")
    given = _options(rest[1:], {"--move"}, set())
    if name in machine.data["wsl"]["running"]:
        raise WslError("failed", "Wsl/Service/MoveDistro/WSL_E_DISTRO_NOT_STOPPED")
    wsl_vm.move(machine, guid, given["--move"])
    return wsl_texts.of(machine.data["language"], "done")


def _update(machine: Machine, rest: list[str], stdin: bytes) -> str:
    _known(rest, {"--web-download", "--pre-release"})
    machine.require_admin()
    wsl_vm.shutdown(machine)
    machine.data["wsl"]["version"] = machine.data["wsl"].get("newest", machine.data["wsl"]["version"])
    return wsl_texts.of(machine.data["language"], "done")


def _enter(machine: Machine, rest: list[str], stdin: bytes) -> Said:
    """`-d N [-u USER] --exec PROGRAM …`. `/bin/sh -s [--] WORDS` gets its script by its input."""
    end = next((place for place, word in enumerate(rest) if word in ("--exec", "-e", "--")), len(rest))
    _options(rest[1:end], {"-u", "--user", "--cd"}, set())
    _, name = _found(machine, rest[:1], "Wsl/Service")
    _require_vm(machine, "CreateInstance")
    wsl_vm.start(machine, name)
    command = rest[end + 1 :]
    linux = machine.linux.get(name)
    if linux is None or command[:1] in (["/bin/true"], ["true"], ["sleep"]):
        return 0, b"", b""
    if command[:2] == ["/bin/sh", "-s"]:
        return linux.run(stdin.decode(), [word for word in command[2:] if word != "--"], b"")
    return linux.run(" ".join(command), [], stdin)


def _require_vm(machine: Machine, doing: str) -> None:
    broken = machine.data["wsl"].get("fails")
    if broken:
        raise WslError("failed", f"Wsl/Service/{doing}/{broken}")
    right = "SeServiceLogonRight"
    if VIRTUAL_MACHINES in set(machine.data.get("denied", {}).get(right, ())) - set(
        machine.data.get("rights", {}).get(right, ())
    ):
        raise WslError("failed", f"Wsl/Service/{doing}/CreateVm/HCS/ERROR_LOGON_TYPE_NOT_GRANTED")
    if not wsl_vm.possible(machine):
        raise WslError("virtualization", f"Wsl/Service/{doing}/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED")


def _found(machine: Machine, rest: list[str], code: str, *, whole: bool = True) -> tuple[str, str]:
    """GUID and name, as registered, of the distribution that is meant. whole: one that is half installed does not count."""
    if not rest:
        raise WslError("argument", "", "", "wsl.exe")
    found = wsl_vm.find(machine, rest[0])
    if found is None or (whole and found[1]["State"] != wsl_vm.INSTALLED):
        raise WslError("not_found", f"{code}/WSL_E_DISTRO_NOT_FOUND")
    return found[0], str(found[1]["DistributionName"])


def _known(rest: list[str], allowed: set[str]) -> None:
    for word in rest:
        if word not in allowed:
            raise WslError("argument", "", word, "wsl.exe")


def _options(rest: list[str], taking: set[str], plain: set[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    words = iter(rest)
    for word in words:
        if word in taking:
            given[word] = next(words, "")
        elif word not in plain:
            raise WslError("argument", "", word, "wsl.exe")
    return given


VERBS: dict[str, Callable[[Machine, list[str], bytes], str | Said]] = {
    **dict.fromkeys(("--list", "-l"), _list),
    **dict.fromkeys(("--terminate", "-t"), _terminate),
    **dict.fromkeys(("--distribution", "-d"), _enter),
    "--version": _version,
    "--shutdown": _shutdown,
    "--install": _install,
    "--export": _export,
    "--unregister": _unregister,
    "--manage": _manage,
    "--update": _update,
}
