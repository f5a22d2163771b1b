"""Certificates, packages and settings of role base."""

from __future__ import annotations

from tests.templates.rendering import evaluate, render

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def test_a_certificate_is_named_by_its_content() -> None:
    files = evaluate("base", "_base_certificate_files", base_ca_certificates=[PEM])
    other = evaluate("base", "_base_certificate_files", base_ca_certificates=[PEM + "\n"])
    assert len(files) == 2
    assert files[0].startswith("/usr/local/share/ca-certificates/gpurig-")
    assert files[1].startswith("/etc/ssl/certs/gpurig-")
    assert files != other


def test_without_certificates_there_are_no_files() -> None:
    assert evaluate("base", "_base_certificate_files") == []


def test_the_path_of_a_certificate_is_refused() -> None:
    assert "not its path" in evaluate("base", "_base_problems", base_ca_certificates=["/etc/ca.pem"])[0]


def test_another_distribution_is_refused_with_the_ones_that_are_supported() -> None:
    facts = {"distribution": "Fedora", "distribution_release": "", "distribution_version": "44"}
    found = evaluate("base", "_base_problems", ansible_facts=facts)
    assert "Fedora 44" in found[0]
    assert "noble" in found[0]


def test_upgrades_without_systemd_are_refused() -> None:
    given = {"base_unattended_upgrades": True, "services_init": "supervisor"}
    assert "no systemd" in evaluate("base", "_base_problems", **given)[0]
    assert evaluate("base", "_base_problems", base_unattended_upgrades=True) == []


def test_upgrades_bring_their_package_and_never_restart_the_host() -> None:
    assert "unattended-upgrades" not in evaluate("base", "_base_packages")
    assert "unattended-upgrades" in evaluate("base", "_base_packages", base_unattended_upgrades=True)
    assert 'Automatic-Reboot "false"' in render("base", "unattended-upgrades.j2")
