"""What is special to RunPod, against the simulated one."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from gpurig import config, keys, lifecycle
from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.offers import Answer, Offer, ranked, search
from gpurig.providers import DoubtError, Machine, RefusedError
from gpurig.providers.runpod import pricing
from gpurig.providers.runpod.client import EVERY, Client
from gpurig.providers.runpod.provider import ARGS, SCRIPT, Provider
from gpurig.rental import RentalSpec
from gpurig.stack import Stack
from tests.clients import quota, specification
from tests.clients.fake import GOOD_KEY, Request
from tests.clients.fake_runpod import NO_CAPACITY, NO_FREE_GPU, Runpod
from tests.clients.server import serving

GPU = "NVIDIA GeForce RTX 4090"
VOLUME = "2q9m7x4c"
needs_spec = pytest.mark.skipif(specification.document(Runpod.spec) is None, reason="RunPod's OpenAPI file is not here")


class Served(Runpod):
    """With its address."""

    url = ""


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    made = Served()
    with serving(made) as url:
        made.url = url
        monkeypatch.setenv("GPURIG_RUNPOD_URL", url)
        yield made
    assert made.mistakes == []


def spec(**entry: object) -> RentalSpec:
    written = {"provider": "runpod", "gpu": "RTX 4090", "max_price": 50, **entry}
    found = config.parse({"hosts": {"a": written}}, "test").hosts["a"]
    assert isinstance(found, RentalSpec)
    return found


def ensure(stack: Stack, **entry: object) -> Host:
    return lifecycle.ensure(stack, "a", spec(**entry), report=print)


def answer(**entry: object) -> Answer:
    return search(["runpod"], spec(**entry).wish())[0]


def meeting(**entry: object) -> list[Offer]:
    return ranked(answer(**entry).offers, spec(**entry).wish())


def listed() -> Machine:
    (machine,) = Provider().everything()
    return machine


def post(vendor: Served, path: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(vendor.url + path, json=body, headers={"Authorization": f"Bearer {GOOD_KEY}"})


def created(vendor: Served) -> int:
    return [kind for _, kind, _ in vendor.calls].count("create")


def test_a_pod_gets_our_keys_by_variables_and_no_key_of_the_account(stack: Stack, vendor: Served) -> None:
    host = ensure(stack)
    (pod,) = vendor.living()
    body = pod.facts["body"]
    assert body["env"]["PUBLIC_KEY"] == keys.login_key(stack.home).with_suffix(".pub").read_text().strip()
    assert host.endpoint.host_key in base64.b64decode(body["env"][SCRIPT]).decode()
    assert GOOD_KEY not in json.dumps(body)
    assert "startSsh" not in body
    assert "keys" not in [kind for _, kind, _ in vendor.calls]
    assert body["image"].partition(":")[2] not in ("", "latest")
    assert "env" not in listed().data


def test_the_start_up_script_survives_the_way_through_the_command_and_hides_itself() -> None:
    script = f"""#!/bin/bash\nread -r line; echo "$line" 'it'"'"'s' "{{${{{SCRIPT}-gone}}}}" """
    done = subprocess.run(
        shlex.split(ARGS),
        env={SCRIPT: base64.b64encode(script.encode()).decode(), "PATH": "/usr/bin:/bin"},
        input="input stays its own\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "input stays its own it's {gone}\n"


def test_where_nothing_is_free_the_next_offer_is_taken_best_stocked_first(stack: Stack, vendor: Served) -> None:
    vendor.full = {("COMMUNITY", ""), ("SECURE", "EU-RO-1")}
    ensure(stack)
    (pod,) = vendor.living()
    assert pod.facts["place"] == "US-KS-2"
    assert created(vendor) == 3


def test_where_nothing_is_free_anywhere_the_vendor_is_quoted(stack: Stack, vendor: Served) -> None:
    vendor.full = {("COMMUNITY", ""), *(("SECURE", place) for place in ("EU-RO-1", "US-KS-2", "EU-SE-1"))}
    with pytest.raises(ConfigError, match=NO_CAPACITY):
        ensure(stack)
    assert vendor.machines == {}


def test_without_balance_no_other_offer_is_tried(stack: Stack, vendor: Served) -> None:
    vendor.balance = 0.1
    with pytest.raises(ConfigError, match=r"HTTP 402: Insufficient balance"):
        ensure(stack)
    assert created(vendor) == 1


def test_a_machine_that_the_account_may_not_have_is_skipped(stack: Stack, vendor: Served) -> None:
    vendor.forbidden = {GPU}
    with pytest.raises(ConfigError, match=r"HTTP 403: access denied"):
        ensure(stack)
    assert created(vendor) == len(meeting())


@needs_spec
def test_a_field_that_the_vendor_does_not_know_is_refused_by_name(vendor: Served) -> None:
    reply = post(vendor, "/v2/pods", {"name": "x", "image": "i", "gpu": {"id": GPU}, "gpuCount": 1})
    assert reply.status_code == 422
    assert "gpuCount" in reply.json()["errors"][0]
    vendor.mistakes.clear()


@needs_spec
def test_a_request_that_the_vendor_does_not_understand_is_made_once(
    stack: Stack, vendor: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pricing, "CONTAINER_DISK", 0)
    with pytest.raises(ConfigError, match=r"HTTP 422: Request validation failed.; .*disk"):
        ensure(stack)
    assert created(vendor) == 1
    vendor.mistakes.clear()


@pytest.mark.usefixtures("vendor")
@pytest.mark.parametrize(
    ("cloud", "prices"),
    [("any", ["0.3497", "0.6997"]), ("secure", ["0.6997"]), ("community", ["0.3497"])],
)
def test_each_cloud_has_its_own_price_with_the_disks_in_it(cloud: str, prices: list[str]) -> None:
    found = meeting(cloud=cloud, disk=50)
    assert sorted({str(offer.price) for offer in found}) == prices  # 20 + 50 GB at $0.10 a month
    assert {offer.stopped for offer in found} == {Decimal("0.0139")}  # 50 GB at $0.20 a month


@pytest.mark.usefixtures("vendor")
def test_a_region_is_a_data_centre_a_country_or_a_group() -> None:
    assert [offer.region for offer in meeting(region="EU")] == ["EU-RO-1", "EU-SE-1"]
    assert [offer.region for offer in meeting(region="US")] == ["US-KS-2"]
    assert [offer.region for offer in meeting(region="EU-SE-1")] == ["EU-SE-1"]
    names = ("EUR-IS-1", "CA-MTL-1", "AP-JP-1", "OC-AU-1", "")
    assert [pricing.country(name) for name in names] == ["IS", "CA", "JP", "AU", ""]


@pytest.mark.usefixtures("vendor")
def test_models_have_their_canonical_names_and_only_those_with_cuda_are_offered() -> None:
    every = answer(gpu="A100 80GB").offers
    assert {(offer.gpu, offer.memory) for offer in every} == {("RTX 4090", 24), ("H100", 80), ("A100 80GB", 80)}


@pytest.mark.usefixtures("vendor")
def test_more_gpus_than_a_machine_has_are_not_offered() -> None:
    assert {offer.data["cloud"] for offer in meeting(count=8)} == {"SECURE"}
    assert meeting(count=9) == []


@pytest.mark.usefixtures("vendor")
def test_interruptible_machines_are_told_to_be_gone() -> None:
    found = answer(interruptible=True)
    assert found.offers == ()
    assert "interruptible: false" in found.problem


def test_a_network_volume_decides_the_place_and_is_not_in_the_price(stack: Stack, vendor: Served) -> None:
    (offer,) = meeting(network_volume=VOLUME, disk=50)
    assert (offer.region, offer.price, offer.stopped) == ("US-KS-2", Decimal("0.6969"), None)
    host = ensure(stack, network_volume={"id": VOLUME, "path": "/data"}, disk=50)
    (pod,) = vendor.living()
    assert pod.facts["body"]["mounts"] == {"network": [{"volumeId": VOLUME, "path": "/data"}]}
    assert pod.facts["body"]["disk"] == 50
    assert not host.capabilities.can_stop
    with pytest.raises(ConfigError, match="would wipe all of its disk but the network volume"):
        Provider().stop(listed())


@pytest.mark.usefixtures("vendor")
def test_an_unknown_network_volume_is_told_with_those_that_there_are() -> None:
    assert "it has: 2q9m7x4c (data, US-KS-2)" in answer(network_volume="nope").problem


def test_a_network_volume_in_the_community_cloud_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="write `cloud: secure`"):
        spec(network_volume=VOLUME, cloud="community")


def test_stopping_keeps_the_disk_and_its_price(stack: Stack, vendor: Served) -> None:
    assert ensure(stack, disk=50).capabilities.billed_stopped == "disk"
    assert listed().price == Decimal("0.3497")
    Provider().stop(listed())
    stopped = listed()
    assert (stopped.running, stopped.state, stopped.price) == (False, "EXITED", Decimal("0.0139"))
    (pod,) = vendor.living()
    assert pod.facts["body"]["mounts"]["persistent"] == {"size": 50, "path": "/workspace"}


def test_a_restarted_pod_is_reached_at_its_new_port_never_at_the_old_one(stack: Stack, vendor: Served) -> None:
    vendor.boots = 30
    assert ensure(stack).endpoint.port == 22
    Provider().stop(listed())
    assert ensure(stack).endpoint.port == 23


def test_a_pod_whose_gpu_was_taken_while_it_was_stopped_is_kept(stack: Stack, vendor: Served) -> None:
    ensure(stack)
    Provider().stop(listed())
    vendor.taken = True
    with pytest.raises(RefusedError, match=NO_FREE_GPU):
        Provider().start(listed())
    with pytest.raises(RigError, match=rf"\(EXITED\): runpod: HTTP 400: {NO_FREE_GPU} .*\nIt is kept"):
        ensure(stack)
    assert len(vendor.living()) == 1


def test_a_pod_that_came_back_with_fewer_gpus_is_told(stack: Stack, vendor: Served) -> None:
    ensure(stack, count=2)
    vendor.living()[0].facts["body"]["gpu"]["count"] = 1
    with pytest.raises(RigError, match="it runs with 1 GPUs, not 2"):
        ensure(stack, count=2)


@pytest.mark.parametrize("action", ["stop", "start"])
def test_what_was_done_already_is_no_error(stack: Stack, vendor: Served, action: str) -> None:
    ensure(stack)
    running = listed()
    Provider().stop(running)
    before = running if action == "stop" else listed()
    if action == "start":
        Provider().start(before)
    getattr(Provider(), action)(before)  # the listing that it goes by is behind
    assert listed().state == ("EXITED" if action == "stop" else "RUNNING")


def test_a_transition_that_is_not_legal_is_refused(stack: Stack, vendor: Served) -> None:
    host = ensure(stack)
    assert post(vendor, f"/v2/pods/{host.id}/action", {"action": "start"}).status_code == 409


def test_an_image_that_does_not_exist_is_told_and_nothing_is_left(stack: Stack, vendor: Served) -> None:
    with pytest.raises(RigError, match="does the image nowhere/none:1 exist"):
        ensure(stack, image="nowhere/none:1", tries=1)
    assert vendor.living() == []


def test_the_listing_is_read_to_its_last_page(stack: Stack, vendor: Served) -> None:
    for name in ("mine", "gpurig.unit.test.a.1.not-a-mark"):
        vendor.rent(name, body={"gpu": {"id": GPU}, "image": "i"}, place="", cost=1, created="", started=0, restarts=0)
    vendor.page = 1
    assert ensure(stack).id == listed().id


@pytest.mark.parametrize("page", [{}, {"pods": None}, {"pods": [], "pagination": {"hasNextPage": True}}])
def test_half_a_listing_is_no_listing(vendor: Served, monkeypatch: pytest.MonkeyPatch, page: dict[str, Any]) -> None:
    client = Client()
    monkeypatch.setattr(client._api, "read", lambda *_, **__: page)
    with pytest.raises(DoubtError):
        list(client.pods())


def test_a_terminated_pod_in_the_listing_does_not_live(stack: Stack, vendor: Served) -> None:
    ensure(stack)
    vendor.lag, vendor.shows_terminated = 1e6, True
    lifecycle.end(stack, "a", (), report=print)
    assert Provider().everything() == []


def test_ending_what_is_gone_succeeds(stack: Stack, vendor: Served) -> None:
    ensure(stack)
    machine = listed()
    vendor.end(vendor.living()[0])
    Provider().end(stack, machine)


def test_pods_that_ended_with_the_balance_are_explained(stack: Stack, vendor: Served) -> None:
    host = ensure(stack)
    vendor.balance = 0
    assert lifecycle.observe(stack, host) is None
    assert "the account's balance was $0" in lifecycle.forget(stack, host)


def test_calls_keep_within_the_quotas_of_a_minute_and_an_hour() -> None:
    for allowed, seconds in (quota.WINDOWS["minute"], quota.WINDOWS["hour"]):
        assert seconds / EVERY[""] <= allowed


def test_a_quota_that_others_used_up_is_waited_for(vendor: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(quota.WINDOWS, "minute", (1, 60))
    vendor.strict_pace = True
    replies = [vendor.answer(Request("GET", "/v2/pods", {}, None, GOOD_KEY)) for _ in range(5)]
    refused = next(reply for reply in replies if reply.status == 429)
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"].startswith('"minute";r=0;t=')
    assert refused.headers["RateLimit-Policy"].startswith('"minute";q=1;w=60, "hour";q=3000;w=3600')
    assert Provider().everything() == []
