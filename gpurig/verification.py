"""Runs the checks of tests/verify against live hosts, several hosts side by side, and collects their verdicts.

Nothing gets lost on the way: a host that cannot be reached, checks that crash, hang or say nothing are each a FAIL.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from gpurig import access, checks, environments, reach, records
from gpurig.catalogue import ROOT
from gpurig.errors import ConfigError
from gpurig.health.burn import lasted
from gpurig.host import Capabilities, Endpoint, Host
from gpurig.publication import publish, publish_page
from gpurig.report import Report
from gpurig.stack import Stack
from gpurig.verdict import Result

CHECKS = ROOT / "tests" / "verify"

AT_ONCE = 8
"""Hosts checked side by side; each is a Python process here."""

LIMIT_SECONDS, QUICK_SECONDS = 900.0, 300.0
"""How long the checks of one host may take altogether, without its environments' smoke tests; and the quick ones."""

LONGEST_BURN = 24 * 60.0
"""Minutes of full load: more is taken for a slip of the fingers."""

Tell = Callable[[Result], None]
"""Is told each verdict as it comes; called from several threads."""


@dataclass(frozen=True, slots=True)
class Target:
    """One machine to be checked. Of a PC with WSL2 that is the Linux side."""

    stack: Stack
    host: Host
    name: str
    endpoint: Endpoint
    capabilities: Capabilities

    @property
    def environments(self) -> tuple[str, ...]:
        """What shall be installed on this very machine."""
        return self.host.environments if self.name == self.host.work()[0] else ()

    @property
    def services(self) -> tuple[str, ...]:
        """What shall run on this very machine."""
        return self.host.services if self.name == self.host.work()[0] else ()

    def as_user(self, command: str) -> str:
        """A shell command for root that runs this one as after a fresh login of the user."""
        return f"/usr/sbin/runuser -l {shlex.quote(self.endpoint.user)} -s /bin/sh -c {shlex.quote(command)}"

    def as_root(self, command: str) -> str:
        """A shell command for whoever SSH logs in that runs this one as root."""
        return f"sudo -n /bin/sh -c {shlex.quote(command)}" if self.capabilities.privilege == "sudo" else command


def verify(
    stack: Stack,
    names: Iterable[str] = (),
    *,
    quick: bool = False,
    burn: float = 0.0,
    tell: Tell = lambda _: None,
) -> list[Report]:
    """Check these hosts, or all of the stack, and write their reports.

    quick: leave out what takes longer than a few seconds; it is reported as SKIP. burn: minutes under full load.
    Raises ConfigError for a name that no host has, or where there is no host at all. That something is wrong with a host
    is no error but a FAIL in its report.
    """
    chosen = targets(stack, names)

    def examined(target: Target) -> Report:
        report = examine(target, quick=quick, burn=burn, tell=tell)
        publish(stack, report)
        return report

    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(chosen))) as pool:
        reports = list(pool.map(examined, chosen))
    publish_page(stack, machines(stack))
    return reports


def check_options(*, quick: bool, burn: float) -> None:
    """Raise ConfigError for minutes of full load that are none, too many or asked for together with `quick`."""
    if burn and not 0 < burn <= LONGEST_BURN:
        raise ConfigError(f"burn: {burn:g}: write minutes above 0, at most {LONGEST_BURN:g}, such as 10.")
    if burn and quick:
        raise ConfigError("burn and quick: full load for minutes is not quick; leave one of them out.")


def machines(stack: Stack) -> dict[str, str]:
    """Name → label of every machine that can be verified."""
    return {target.name: target.host.label for target in targets(stack)}


def targets(stack: Stack, names: Iterable[str] = ()) -> list[Target]:
    """The machines with these names, or of the hosts with these names; all of the stack where none is given."""
    recorded = records.load(stack)
    if not recorded:
        raise ConfigError(f"Stack {stack.name} has no hosts to verify; `rig up` stands them up.")
    machines = [
        Target(stack, host, name, endpoint, capabilities)
        for host in recorded.values()
        for name, endpoint, capabilities in host.machines()
        if endpoint.shell == "sh"
    ]
    if not machines:
        raise ConfigError(f"Stack {stack.name} has no host with a Linux side, and only that can be verified.")
    wanted = list(names)
    for name in wanted:
        if name not in {target.name for target in machines} | {target.host.name for target in machines}:
            records.require(stack, name)
            raise ConfigError(f"{name}: has no Linux side, and only that can be verified.")
    return [target for target in machines if not wanted or target.name in wanted or target.host.name in wanted]


def examine(target: Target, *, quick: bool, tell: Tell, burn: float = 0.0, limit: float | None = None) -> Report:
    """Check one machine. burn: minutes under full load; limit: seconds for all else, after which checks are given up."""
    started, clock = datetime.now(UTC), time.monotonic()
    hidden = secrets(target)
    results: list[Result] = []

    def take(result: Result) -> None:
        results.append(_redacted(result, hidden))
        tell(results[-1])

    try:
        reach.check(target.stack, target.host, target.name, access.config_file(target.stack))
    except reach.UnreachableError as error:
        take(_failure(target, "reachable", str(error), "Until SSH lets us in, nothing else can be checked."))
    else:
        options = [*(["--quick"] if quick else []), *([f"--burn={burn:g}"] if burn else [])]
        options += [] if target.host.guest else [f"--ignore={CHECKS / 'test_windows.py'}"]
        seconds = (_limit(target, quick=quick) if limit is None else limit) + burn * 60
        if problem := checks.run(CHECKS, target.name, target.stack, options, take=take, limit=seconds):
            take(_failure(target, "finished", problem.value, problem.meaning))
    return Report(
        host=target.name,
        label=target.host.label,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 1),
        quick=quick,
        burn=lasted(results, burn),
        results=tuple(results),
    )


def secrets(target: Target) -> list[str]:
    """What must never be in a report: the tokens of the host's services."""
    files = sorted((target.stack.dir / "secrets" / target.name).glob("[!.]*"))
    return [text for file in files if (text := file.read_text(encoding="utf-8").strip())]


def _limit(target: Target, *, quick: bool) -> float:
    """Seconds that the checks of a machine may take, besides full load."""
    if quick:
        return QUICK_SECONDS
    seconds = LIMIT_SECONDS
    for name in target.environments:
        with suppress(ConfigError, OSError):  # the check of environments says what is wrong with it
            seconds += environments.read(ROOT / "environments" / name).smoke_seconds
    return seconds


def _failure(target: Target, name: str, value: str, reason: str) -> Result:
    advice = f"Then run `rig verify {target.name}` again."
    return Result(
        host=target.name, topic="verification", name=name, verdict="FAIL", value=value, reason=reason, advice=advice
    )


def _redacted(result: Result, hidden: Iterable[str]) -> Result:
    texts = {
        key: value.encode(errors="replace").decode()  # a host may say what is no text
        for key, value in result.to_dict().items()
        if isinstance(value, str)
    }
    for secret in hidden:
        texts = {key: value.replace(secret, "<token>") for key, value in texts.items()}
    return Result.from_dict({**result.to_dict(), **texts})
