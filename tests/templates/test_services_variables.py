"""Variables of services as supervisor's start-as reads what the role writes. systemd reads the same; tests/e2e looks at both."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gpurig import catalogue
from tests.templates.test_services import TOKEN, service

START_AS = catalogue.ROOT / "roles/services/files/start-as"


@pytest.mark.parametrize(
    "value",
    [
        "plain", "", " blanks around ", "back\\slash", "two\\\\", '"quoted"', '"', "'single'", "it's", '\\"', "$HOME `id` $(id)",
        "# no comment", "a=b", "ümlaut", 64, 0.5,
    ],
)  # fmt: skip
def test_a_value_arrives_as_it_was_written_and_swallows_nothing(value: object, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text(service("env.j2", "api", services_variables={"api": {"ODD": value}}))
    reads = START_AS.read_text().partition("read_variables() {")[2].partition("\n}\n")[0]
    script = f'set -eu\nread_variables() {{{reads}\n}}\nread_variables "$1"\nprintf "%s|%s|%s" "$ODD" "$API_TOKEN" "$GPURIG_PORT"'
    done = subprocess.run(["sh", "-c", script, "sh", file], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout == f"{value}|{TOKEN}|8000"


def test_what_look_and_verification_read_has_no_quotes() -> None:
    text = service("env.j2", "api")
    assert f"\nGPURIG_PORT=8000\nAPI_TOKEN={TOKEN}\n" in text
