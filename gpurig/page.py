"""HTML pages that need no other file, from templates/."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from gpurig.catalogue import ROOT

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """A page of this template's name, in templates/."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["money"] = lambda amount: f"${amount:,.2f}"
    made.filters["price"] = lambda amount: f"${amount:.3f}"
    made.filters["moment"] = _moment
    return made


def _moment(at: datetime | str) -> str:
    """A moment, or its ISO 8601 form, to the minute."""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
