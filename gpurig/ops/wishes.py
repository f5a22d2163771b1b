"""A wish as it is written on the command line: the same keys, limits and words as in a host's entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gpurig import accounts, config, providers
from gpurig.engine import configured
from gpurig.errors import ConfigError
from gpurig.gpu_key import WantedGpu
from gpurig.mistakes import did_you_mean
from gpurig.ops import console
from gpurig.ops.place import stack_if_any, stack_of
from gpurig.rental import Money, RentalSpec

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.offers import Answer, Wish

KEYS = ("gpu", "count", "memory", "disk", "max_price", "region", "reliability", "link", "interruptible")


class Asked(RentalSpec):
    """A wish whose GPU and price may be left open."""

    provider: str = ""
    gpu: WantedGpu | None = None  # type: ignore[assignment]  # a host's entry must name it
    max_price: Money | None = None  # type: ignore[assignment]  # likewise


def wish(c: Context, options: Mapping[str, Any]) -> Wish:
    """What the options ask for; with --host, what its entry asks for where the options do not say otherwise.

    Raises ConfigError that lists every mistake.
    """
    given = {key: options[key] for key in KEYS if options[key] not in ("", False)}
    if options["host"]:
        given = {**_entry(c, options["host"]).model_dump(include={*KEYS, "exclude"}), **given}
    try:
        return Asked.model_validate(given).wish()
    except ValidationError as error:
        raise ConfigError("\n".join(map(_said, error.errors(include_url=False)))) from error


class NoKeyError(ConfigError):
    """There is no vendor whose key is here."""


def vendors(c: Context, named: Iterable[str], *, host: str = "") -> tuple[str, ...]:
    """The vendors to ask: the named ones, else those of the host's entry, else all whose key is here; tells who is left out.

    Raises NoKeyError where that leaves none.
    """
    stack = stack_if_any(c)
    if stack:
        accounts.provide(stack, report=console.say)
    wanted = checked(named)
    if wanted or host:
        return wanted or _entry(c, host).sources()
    every = providers.RENTERS
    missing = accounts.without_key(every)
    lacking = ", ".join(f"{name} ({variable})" for name, variable in missing.items())
    keyed = tuple(name for name in every if name not in missing)
    if not keyed:
        raise NoKeyError(
            f"No vendor can be asked, since no key is here. Set the environment variable of one: {lacking}."
        )
    if missing:
        console.say(f"Not asked, since their keys are not here: {lacking}.")
    return keyed


def checked(named: Iterable[str]) -> tuple[str, ...]:
    """Vendors as named by `--provider`, several times or by comma. Raises ConfigError for one that does not rent."""
    names = tuple(dict.fromkeys(name.strip() for text in named for name in text.split(",") if name.strip()))
    known = providers.RENTERS
    for name in names:
        if name not in known:
            raise ConfigError(
                f"--provider {name}: no such vendor{did_you_mean(name, known)}. There are: {', '.join(known)}."
            )
    return names


def problems(answers: Sequence[Answer]) -> dict[str, str]:
    """Vendors that could not answer, and why; told on stderr."""
    found = {answer.provider: answer.problem for answer in answers if answer.problem}
    for problem in found.values():
        console.say(problem)
    return found


def _entry(c: Context, host: str) -> RentalSpec:
    stack = stack_of(c)
    found = configured(stack, config.load(stack, pulumi_decrypts=True), host)
    if not isinstance(found, RentalSpec):
        raise ConfigError(f"{stack.file.name}: gpurig:hosts.{host}: not a rented host, so there are no offers for it.")
    return found


def _said(problem: Any) -> str:
    option = f"--{str(problem['loc'][0]).replace('_', '-')} {problem['input']}"
    if problem["type"] == "value_error":
        return f"{option}: {problem['ctx']['error']}"
    said = problem["msg"]
    return f"{option}: {said[0].lower()}{said[1:]}."
