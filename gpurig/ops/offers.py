"""`rig offers` and `rig estimate`: what can be rented now, and what it would cost."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit

from gpurig.errors import ConfigError
from gpurig.ops import console
from gpurig.ops.command import command

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.offers import Answer, Offer, Wish

ROWS = 25
"""Offers in the table for people; the cheapest are what matters."""

ALTERNATIVES = 5
"""Lines of an estimate."""

WISH = {
    "gpu": 'Model, such as "RTX 4090" (gpurig/gpus.toml has the names). Default: any.',
    "count": "How many GPUs. Default: 1.",
    "memory": "Least memory of each GPU, in GB.",
    "disk": "Disk in GB, which is part of the price. Default: 50.",
    "max_price": "The most it may cost in an hour, in USD.",
    "region": "Country (SE), group of countries (EU, NA, ASIA) or a vendor's own name.",
    "reliability": "Least reliability, 0 to 1, where it is known.",
    "link": "Least download speed in Mbit/s, where it is known.",
    "interruptible": "What may be taken away at any time, for less.",
    "provider": "Ask this vendor; may be repeated, or several by comma. Default: all whose key is here.",
    "host": "Take the wish of this host of the configuration; other options change it.",
}


def _wishing(body: Callable[..., None]) -> Callable[..., None]:
    """Give a command all the options of a wish. It gets them as one dict, `asked`."""
    signature = inspect.signature(body)
    kinds: dict[str, object] = {"interruptible": False, "provider": None}
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "asked"]
    options = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=kinds.get(key, "")) for key in WISH]

    @functools.wraps(body)
    def with_options(c: Context, **given: Any) -> None:
        asked = {key: given.pop(key, kinds.get(key, "")) for key in WISH}
        body(c, asked=asked, **given)

    with_options.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]  # inspect's way
    return with_options


@command(repeated=["provider"], help={"explain": "Also list what was left out, and why.", **WISH})
@_wishing
def offers(c: Context, *, asked: dict[str, Any], explain: bool = False) -> None:
    """List what can be rented now, cheapest first, from every vendor whose key is here. Needs no configuration.

    Prices are for the whole machine in USD per hour, its disk included. One vendor that is slow or broken does not hide
    the others. Exits with 1 where nothing meets the wish.
    """
    from gpurig import offers as market

    wish, answers, problems = _asked(c, asked)
    every = [offer for answer in answers for offer in answer.offers]
    found = market.ranked(every, wish)
    left_out = sorted(((o, why) for o in every if (why := market.objection(o, wish))), key=lambda pair: pair[0].price)
    data: dict[str, Any] = {"offers": [offer.to_dict() for offer in found], "problems": problems}
    if explain:
        data["left_out"] = [{**offer.to_dict(), "objection": why} for offer, why in left_out]
    parts = [_table(found[:ROWS])] if found else []
    if len(found) > ROWS:
        parts.append(f"… and {len(found) - ROWS} dearer ones; --json has all.")
    if explain and left_out:
        parts.append(_left_out(left_out))
    console.show(c, data, "\n\n".join(parts))
    if not found:
        raise Exit(_nothing(wish, answers), code=1)


@command(repeated=["provider"], help={"hours": "How long it is needed.", **WISH})
@_wishing
def estimate(c: Context, *, asked: dict[str, Any], hours: str = "") -> None:
    """Say what some hours of a machine would cost, from live offers: the cheapest and a few others.

    As in `rig estimate --hours 4 --gpu H100 --count 8`. Billing begins some minutes before a machine is ready.
    """
    from gpurig import offers as market

    long = _hours(hours)
    if not (asked["gpu"] or asked["host"]):
        raise ConfigError(
            '--gpu: missing; write a model, such as --gpu "RTX 4090", or a host of the configuration (--host).'
        )
    wish, answers, problems = _asked(c, asked)
    chosen = _alternatives(market.ranked([offer for answer in answers for offer in answer.offers], wish))
    data = [
        {**offer.to_dict(), "cost": f"{offer.price * long:f}", "daily": f"{offer.price * market.DAY:f}"}
        for offer in chosen
    ]
    rows = [("PROVIDER", "GPU", "REGION", "KIND", "$/H", f"$ FOR {long:f} H", "$ A DAY")]
    rows += [(o.provider, f"{o.count} × {o.gpu}", o.region or "-", _kind(o), *_sums(o, long)) for o in chosen]
    table = console.table(rows) if chosen else ""
    console.show(c, {"hours": f"{long:f}", "estimates": data, "problems": problems}, table)
    if not chosen:
        raise Exit(_nothing(wish, answers), code=1)


def _asked(c: Context, asked: dict[str, Any]) -> tuple[Wish, list[Answer], dict[str, str]]:
    """The wish, what every vendor answered, and the problems of those that could not."""
    from gpurig import offers as market
    from gpurig.ops import wishes

    wish = wishes.wish(c, asked)
    names = wishes.vendors(c, asked["provider"] or (), host=asked["host"])
    with console.working(f"Asking {', '.join(names)}"):
        answers = market.search(names, wish)
    return wish, answers, wishes.problems(answers)


def _sums(offer: Offer, hours: Decimal) -> tuple[str, str, str]:
    from gpurig.offers import DAY

    return f"{offer.price:.3f}", f"{offer.price * hours:.2f}", f"{offer.price * DAY:.2f}"


def _hours(text: str) -> Decimal:
    if not text:
        raise ConfigError("--hours: missing; write how long the machine is needed, such as --hours 4.")
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal(0)
    if not (found.is_finite() and 0 < found <= 100_000):  # noqa: PLR2004 (more than ten years)
        raise ConfigError(f"--hours {text}: write a number above 0, such as 4 or 0.5.")
    return found


def _alternatives(ranked: Sequence[Offer]) -> list[Offer]:
    """The cheapest, the cheapest of every other vendor, and the next ones up to a few; cheapest first."""
    of_vendor: dict[str, Offer] = {}
    for offer in ranked:
        of_vendor.setdefault(offer.provider, offer)
    rest = [offer for offer in ranked if offer not in of_vendor.values()]
    return sorted([*of_vendor.values(), *rest][:ALTERNATIVES], key=lambda offer: offer.price)


def _nothing(wish: Wish, answers: Sequence[Answer]) -> str:
    """Why nothing is offered, and what would be nearest."""
    from dataclasses import replace

    from gpurig import offers as market

    every = [offer for answer in answers for offer in answer.offers]
    dearer = market.ranked(every, replace(wish, max_price=None))
    if dearer:
        nearest = dearer[0]
        return (
            f"--max-price: nothing under ${wish.max_price:.2f} an hour. The cheapest that meets the rest is ${nearest.price:f}: "
            f"{nearest.count} × {nearest.gpu} at {nearest.provider}{f' in {nearest.region}' if nearest.region else ''}."
        )
    what = f"{wish.count} × {wish.gpu or 'GPU'}"
    if every:
        reasons = sorted({market.objection(offer, wish) or "" for offer in every})
        return f"No offer of {what} meets the wish ({'; '.join(reasons[:4])}). --explain lists them all."
    return "" if all(answer.problem for answer in answers) else f"Nobody offers {what} now, as far as it was asked for."


def _table(found: Sequence[Offer]) -> str:
    heads = (
        "PROVIDER",
        "GPU",
        "COUNT",
        "MEMORY",
        "CPU",
        "RAM",
        "DISK",
        "REGION",
        "$/H",
        "$/H STOPPED",
        "KIND",
        "RELIABILITY",
        "LINK",
    )
    return _with_machines([heads, *map(_row, found)], found)


def _row(offer: Offer) -> tuple[str, ...]:
    return (
        offer.provider,
        offer.gpu,
        str(offer.count),
        f"{offer.memory:g} GB",
        _known(offer.cpus, "{:g}"),
        _known(offer.ram, "{:.0f} GB"),
        _known(offer.disk, "{:.0f} GB"),
        offer.region or "-",
        f"{offer.price:.3f}",
        "cannot" if offer.stopped is None else f"{offer.stopped:.3f}",
        _kind(offer),
        _known(offer.reliability, "{:.1%}"),
        _known(offer.link, "{:.0f} Mbit/s"),
    )


def _left_out(pairs: Sequence[tuple[Offer, str]]) -> str:
    rows = [("LEFT OUT", "GPU", "COUNT", "REGION", "$/H", "KIND", "WHY")]
    rows += [(o.provider, o.gpu, str(o.count), o.region or "-", f"{o.price:.3f}", _kind(o), why) for o, why in pairs]
    return _with_machines(rows, [offer for offer, _ in pairs])


def _with_machines(rows: Sequence[tuple[str, ...]], found: Sequence[Offer]) -> str:
    """A table of offers, with what `exclude` in a host's entry calls each where there is room for it."""
    machines = ["MACHINE", *(offer.machine for offer in found)]
    whole = console.table([(*row, machine) for row, machine in zip(rows, machines, strict=True)])
    return whole if console.fits(whole) else console.table(rows)


def _kind(offer: Offer) -> str:
    return "interruptible" if offer.interruptible else "on demand"


def _known(figure: float | None, form: str) -> str:
    return "-" if figure is None else form.format(figure)
