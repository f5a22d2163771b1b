"""`rig` in a stack of its own, with simulated Vast.ai as the only vendor whose key is here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from gpurig.cli import main
from gpurig.ledger import Ledger
from gpurig.stack import Stack
from tests.clients.fake_vastai import Vastai, offer
from tests.clients.server import serving

Rig = Callable[..., tuple[int, str, str]]

KEYS = (
    "RUNPOD_API_KEY",
    "LAMBDA_API_KEY",
    "DIGITALOCEAN_TOKEN",
    "PAPERSPACE_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
)


@pytest.fixture
def vast(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vastai]:
    """Simulated Vast.ai, the only vendor whose key is here; listings lag 20 s behind."""
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    made = Vastai()
    made.lag = 20
    with serving(made) as url:
        monkeypatch.setenv("GPURIG_VASTAI_URL", url)
        yield made
    assert made.mistakes == []


@pytest.fixture
def rig(stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rig:
    """Run a command in the stack; gives its exit code, stdout and stderr."""
    (stack.root / "Pulumi.yaml").write_text("name: unit\nruntime: python\n")
    for name, value in {
        "GPURIG_HOME": str(stack.home), "GPURIG_STACK": "test", "GPURIG_ENGINE": "embedded", "HOME": str(stack.root),
        "PULUMI_HOME": str(stack.root / "pulumi"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(stack.root)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(words)
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


def write(stack: Stack, extra: str = "", **hosts: str) -> None:
    """The stack's file; a host's text is what its entry says besides vendor, GPU and price."""
    entry = "provider: vastai, gpu: RTX 4090, max_price: 0.60"
    lines = "".join(f"    {name}: {{{entry}{f', {more}' if more else ''}}}\n" for name, more in hosts.items())
    stack.file.write_text(f"config:\n  gpurig:hosts:{' {}' if not hosts else ''}\n{lines}{extra}")


def ids(vendor: Vastai) -> list[str]:
    """The machines that bill."""
    return [machine.id for machine in vendor.living()]


def stray(vendor: Vastai, mark: str) -> str:
    """A machine that somebody rented without this computer's knowing."""
    made = vendor.rent(mark, offer=offer(99), body={})
    made.listed_from = 0
    return made.id


FOREIGN = "gpurig.other.prod.trainer.3.0123456789ab"
"""The mark of a machine that another computer made."""


def intended(here: Stack, host: str = "z", **facts: object) -> str:
    """An entry of a call that was made and whose end nobody knows. Returns its id."""
    given = {
        "provider": "vastai",
        "project": "x",
        "stack": "y",
        "generation": 1,
        "price": Decimal("0.41"),
        "price_stopped": None,
    }
    return Ledger(here.home).intend(**{**given, "host": host, "label": f"gpurig.x.y.{host}.1", **facts})
