"""`rig costs`: what rentals cost, from the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from gpurig.errors import ConfigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from gpurig.costs import Costs, Line
    from gpurig.ledger import Rental


@command(
    help={
        "by": "host, day or provider. Default: host.",
        "stack_only": "Only this stack's; so does --stack NAME. Else everything that this computer ever rented.",
        "html": "Also write a page with a plot to this file.",
    }
)
def costs(c: Context, by: str = "host", stack_only: bool = False, html: str = "") -> None:
    """Say what rentals cost: so far, now in an hour, and as it goes on. Days and months are UTC's.

    A machine that may still bill counts as if it did. What was spent on machines that were not accepted is shown apart.
    Figures are from the prices at which machines were rented; a vendor's invoice may add traffic, and begin a little later.
    """
    from gpurig import clock, costs_page, doubts
    from gpurig import costs as worked_out
    from gpurig.ledger import Ledger
    from gpurig.stack import home, write_private

    grouping = next((known for known in get_args(worked_out.By) if known == by), None)
    if grouping is None:
        raise ConfigError(f"--by {by}: write one of {', '.join(get_args(worked_out.By))}.")
    if stack_only or c.config.gpurig.stack:
        stack = stack_of(c)
        title, rentals = f"{stack.project}, stack {stack.name}", Ledger(stack.home).of_stack(stack.project, stack.name)
    else:
        title, rentals = "All rentals", Ledger(home()).rentals()
    doubtful = frozenset(rental.id for rental in doubts.among(rentals, home()))
    found = worked_out.of(rentals, grouping, clock.now(), doubtful)
    console.show(c, found.to_dict(), _text(found) if rentals else "Nothing was ever rented from here.")
    if html:
        file = Path(html).expanduser().absolute()
        if not file.parent.is_dir():
            raise ConfigError(f"--html {html}: there is no folder {file.parent}.")
        write_private(file, costs_page.html(found, rentals, title=title))
        console.say(f"Written: {file}")


def _text(found: Costs) -> str:
    marks = any(line.unsure for line in found.lines)
    heads = [found.by.upper(), "SPENT", "TODAY", "MONTH", "NOT ACCEPTED", "$/H NOW", "RENTALS"]
    rows = [[*heads, "NOTE"] if marks else heads]
    rows += [[*_row(line), _note(line)] if marks else _row(line) for line in [*found.lines, found.total]]
    parts = [console.table(rows)]
    if found.rentals:
        parts.append(_open(found.rentals, found))
    total = found.total
    parts.append(
        f"As it goes on, today will have cost ${found.day_end:.2f} and this month ${found.month_end:.2f}."
        if total.open
        else "Nothing bills now."
    )
    return "\n\n".join(parts)


def _row(line: Line) -> list[str]:
    money = [f"{amount:.2f}" for amount in (line.spent, line.today, line.month)]
    wasted = f"{line.wasted:.2f}" if line.wasted else "-"
    return [line.name, *money, wasted, f"{line.hourly:.3f}" if line.open else "-", str(line.rentals)]


def _note(line: Line) -> str:
    return f"{line.unsure} may still bill" if line.unsure else ""


def _open(rentals: Sequence[Rental], found: Costs) -> str:
    from gpurig.costs import hourly

    rows = [("BILLS NOW", "ID", "LABEL", "$/H", "SINCE", "STATE")]
    for rental in rentals:
        state = f"may still bill ({rental.state})" if rental.id in found.doubtful else rental.state
        price = f"{hourly(rental, found.now):.3f}" if rental.price else "unknown"
        rows.append((rental.provider, rental.machine or "-", rental.label, price, console.moment(rental.since), state))
    return console.table(rows)
