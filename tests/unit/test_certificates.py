"""Extra CA certificates: only what no system trusts by itself."""

from __future__ import annotations

import base64
from pathlib import Path

import certifi
import pytest

from gpurig import certificates


def pem(content: bytes) -> str:
    body = base64.b64encode(content).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    distribution = tmp_path / "distribution" / "mozilla"
    distribution.mkdir(parents=True)
    (distribution / "old.crt").write_text(pem(b"an authority that certifi has dropped"))
    monkeypatch.setattr(certificates, "DISTRIBUTION", distribution.parent)
    return tmp_path / "bundle.pem"


def test_public_authorities_are_left_out(bundle: Path) -> None:
    bundle.write_text(
        Path(certifi.where()).read_text() + pem(b"company") + pem(b"an authority that certifi has dropped")
    )
    assert certificates.extra(str(bundle)) == [pem(b"company")]


def test_each_certificate_comes_once_in_the_bundle_s_order(bundle: Path) -> None:
    bundle.write_text("# comment\n" + pem(b"b") + pem(b"a") + pem(b"b").replace("\n", "\r\n"))
    assert [certificates._der(text) for text in certificates.extra(str(bundle))] == [b"b", b"a"]


def test_no_bundle_gives_nothing() -> None:
    assert certificates.extra("") == []


def test_a_bundle_without_certificates_is_a_mistake(bundle: Path) -> None:
    bundle.write_text("nothing")
    with pytest.raises(ValueError, match="no PEM certificate"):
        certificates.extra(str(bundle))


def test_a_missing_bundle_is_an_error(bundle: Path) -> None:
    with pytest.raises(OSError, match=r"bundle\.pem"):
        certificates.extra(str(bundle))
