"""How a droplet at DigitalOcean carries its mark, within what tags and names may hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gpurig.providers import RefusedError
from gpurig.providers.digitalocean.provider import Provider
from gpurig.stack import Stack
from tests.clients.fake_digitalocean import HOST_NAME, Digitalocean
from tests.clients.server import serving
from tests.clients.wanted import bodies, only, order


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Digitalocean]:
    made = Digitalocean()
    with serving(made) as url:
        monkeypatch.setenv("GPURIG_DIGITALOCEAN_URL", url)
        yield made
    assert made.mistakes == []


@pytest.mark.parametrize("project", ["unit", "my.own_Project-2", "__.A_b"])
def test_the_mark_is_read_as_it_was_written_from_tag_or_name(vendor: Digitalocean, stack: Stack, project: str) -> None:
    wanted = order(replace(stack, project=project, name="Dev_1"), vendor, "gpu-1", 12)
    vendor.lists_twice = True
    Provider().create(wanted)
    (droplet,) = vendor.living()
    for shown in (droplet.facts["tags"], [tag.upper() for tag in droplet.facts["tags"]], []):
        droplet.facts["tags"] = shown
        machine = only(vendor)
        assert (machine.owner, machine.generation) == (wanted.owner, 12)
        assert machine.owner.mark(machine.generation, machine.fingerprint) == wanted.mark
    name = droplet.facts["body"]["name"]
    assert HOST_NAME.fullmatch(name)
    assert name.startswith("gpu-1-12.")
    droplet.facts["body"]["name"] = "renamed"
    assert Provider().everything() == []


def test_projects_that_differ_in_case_alone_are_two(vendor: Digitalocean, stack: Stack) -> None:
    wanted = [order(replace(stack, project=project), vendor) for project in ("unit", "Unit", "UNIT")]
    for one in wanted:
        Provider().create(one)
    assert {machine.owner for machine in Provider().everything()} == {one.owner for one in wanted}


@pytest.mark.parametrize(("project", "name"), [("p" * 100, "S" * 64), ("Ümlaut", "test")])
def test_a_mark_that_cannot_be_carried_is_refused_before_the_call(
    vendor: Digitalocean, stack: Stack, project: str, name: str
) -> None:
    with pytest.raises(RefusedError, match="cannot be a droplet's tag and name; use a shorter name") as caught:
        Provider().create(order(replace(stack, project=project, name=name), vendor))
    assert not caught.value.another
    assert vendor.machines == {}


def test_what_is_not_marked_exactly_is_not_ours(vendor: Digitalocean, stack: Stack) -> None:
    Provider().create(order(stack, vendor))
    (ours,) = vendor.living()
    tag = ours.facts["tags"][1]
    for name, tags in {
        "web-01": ["gpurig"], "www.example.com": ["gpurig", "prod"], "gpurig": ["gpurig:unit:test:a:1"],
        "a-1.mfrgg": [f"{tag}0"], "gpurig.unit.test.a.1": [tag.replace(":unit:", ":_:")],
    }.items():  # fmt: skip
        vendor.rent("", body={**bodies(vendor)[0], "name": name}, tags=tags)
    assert only(vendor).id == ours.id
