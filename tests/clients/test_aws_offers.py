"""What AWS offers, and what a host is made from, against moto's simulated EC2. Never run against Amazon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from gpurig.errors import ConfigError, RigError
from gpurig.offers import Wish, ranked
from gpurig.providers.aws import address, client, images, search, types
from gpurig.providers.aws.provider import Provider
from tests.clients.simulated_aws import ABROAD, AMI, HOME, account, spec
from tests.clients.wanted import answered


@pytest.fixture(autouse=True)
def _simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with account(monkeypatch):
        yield


def find(**wish: Any) -> list[Any]:
    return answered(Provider().offers(Wish(**{"gpu": "A10G", **wish})))


def test_offers_have_the_price_of_instance_disk_and_address() -> None:
    cheapest = ranked(find(disk=100), Wish(gpu="A10G"))[0]
    assert (cheapest.data["type"], cheapest.gpu, cheapest.count, cheapest.memory) == ("g5.xlarge", "A10G", 1, 24)
    assert (cheapest.cpus, cheapest.ram, cheapest.region, cheapest.country) == (4, 16, HOME, "US")
    assert cheapest.price == Decimal("1.0220")  # 1.006 + 100 × 0.08 / 730 + 0.005
    assert cheapest.stopped == Decimal("0.0110")
    assert cheapest.data["source"] == "gpurig's table"  # moto has no price list


def test_elsewhere_more_is_assumed_than_in_the_table() -> None:
    (home,), (abroad,) = ([o for o in find(region=r) if o.data["type"] == "g5.xlarge"] for r in (HOME, ABROAD))
    assert abroad.price > home.price * Decimal("1.4")
    assert (abroad.region, abroad.country) == (ABROAD, "DE")


def test_a_country_or_group_means_its_regions() -> None:
    assert {offer.region for offer in find(region="EU")} == {ABROAD}
    assert {offer.region for offer in find(region="US")} == {HOME}


def test_amazons_price_list_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    price = {"terms": {"OnDemand": {"a": {"priceDimensions": {"b": {"pricePerUnit": {"USD": "1.2580000000"}}}}}}}
    made = boto3.client("pricing", region_name=HOME)
    stub = Stubber(made)  # checks the request and the answer against botocore's service model
    stub.add_response("get_products", {"FormatVersion": "aws_v1", "PriceList": [json.dumps(price)]})
    stub.activate()
    real = client._client
    monkeypatch.setattr(
        client, "_client", lambda service, *rest: made if service == "pricing" else real(service, *rest)
    )
    monkeypatch.setattr(types, "with_gpus", lambda *_: ["g5.xlarge"])
    for _ in range(2):  # the second time from memory
        (offer,) = find(disk=100, region=ABROAD)
        assert offer.data["source"] == "price list"
        assert offer.price == Decimal("1.2794")  # 1.258 + 100 × 0.12 / 730 + 0.005


def test_spot_instances_are_interruptible_and_cannot_be_stopped() -> None:
    found = find(interruptible=True)
    assert {offer.interruptible for offer in found} == {True}
    assert {offer.stopped for offer in found} == {None}
    assert found[0].data["zone"].startswith(HOME)
    assert found[0].price < Decimal("0.02")  # moto's spot price is next to nothing


def test_a_search_without_a_region_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigError, match="set AWS_REGION"):
        find()


def test_the_cheapest_type_is_what_a_host_is_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    ssm, ec2 = boto3.client("ssm", region_name=HOME), boto3.client("ec2", region_name=HOME)
    (image,) = ec2.describe_images(ImageIds=[AMI])["Images"]
    ssm.put_parameter(Name="/deeplearning/second", Value=image["ImageId"], Type="String")
    monkeypatch.setattr(images, "NAMES", ("/deeplearning/first", "/deeplearning/second"))
    least = max(disk["Ebs"]["VolumeSize"] for disk in image["BlockDeviceMappings"] if "Ebs" in disk)
    terms = search.terms(spec(disk=8))
    assert (terms.offer.data["type"], terms.image, terms.disk) == ("g5.xlarge", image["ImageId"], max(8, least))
    assert search.terms(spec(instance_type="g5.4xlarge")).offer.data["type"] == "g5.4xlarge"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"image": "/no/such/parameter"}, "image: in us-east-1 there is no SSM parameter /no/such/parameter"),
        ({"image": "ami-00000000"}, "ami-00000000"),
        ({"max_price": 1}, r"max_price: nothing under \$1 an hour; g5.xlarge in us-east-1 costs \$1.0"),
        ({"instance_type": "g5.tiny"}, "region: us-east-1 has no such instance: it has none of g5.tiny"),
    ],
)
def test_what_cannot_be_had_is_told(keys: dict[str, Any], message: str) -> None:
    wanted = spec(**{"image": AMI, **keys})
    with pytest.raises(RigError, match=message):
        search.terms(wanted)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"gpu": "RTX 4090"}, "gpu: no instance type is known with 1 × RTX 4090"),
        ({"instance_type": "g5.12xlarge"}, "instance_type: g5.12xlarge has 4 × A10G"),
        ({"allow_from": "my house"}, "not a range of addresses"),
        ({"allow_from": "203.0.113.7/24"}, "has host bits set"),
        ({"region": "Frankfurt"}, "region"),
        ({"image": "ubuntu"}, "image"),
    ],
)
def test_a_wrong_entry_is_told(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spec(**keys)


@pytest.mark.parametrize(
    ("said", "found"), [("198.51.100.23\n", "198.51.100.23/32"), ("2001:db8::7", "2001:db8::7/128"), ("<html>", None)]
)
def test_this_computers_address_is_asked(monkeypatch: pytest.MonkeyPatch, said: str, found: str | None) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("GPURIG_CHECKIP_URL", f"http://127.0.0.1:{server.server_address[1]}")
        if found:
            assert address.own() == found
        else:
            with pytest.raises(ConfigError, match=r"allow_from: .* write who may connect"):
                address.own()
        server.shutdown()
