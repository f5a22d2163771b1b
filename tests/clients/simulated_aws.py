"""AWS as moto simulates it, in this process: an account of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.ec2.models import amis, ec2_backends

from gpurig import config
from gpurig.providers import Owner
from gpurig.providers.aws import client, search
from gpurig.providers.aws.provider import PRICE, STOPPED
from gpurig.providers.aws.spec import Spec
from gpurig.stack import Stack

AMI = amis.AMIS[0]["ami_id"]
HOME, ABROAD = "us-east-1", "eu-central-1"


@contextmanager
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new account at simulated AWS, in two regions, with credentials that nobody ever had."""
    for name in (*client.CREDENTIALS, "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "simulated")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "simulated")
    monkeypatch.setenv("AWS_DEFAULT_REGION", HOME)
    monkeypatch.setenv("AWS_CONFIG_FILE", "no-such-file")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "no-such-file")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(client.REGIONS, f"{HOME},{ABROAD}")
    monkeypatch.setenv("MOTO_AMIS_PATH", "one image is enough, and much quicker")
    monkeypatch.setattr(amis, "AMIS", amis.AMIS[:1])
    monkeypatch.setattr(search, "_prices", {})
    with mock_aws():
        yield


def spec(**keys: Any) -> Spec:
    entry = {"provider": "aws", "region": HOME, "gpu": "A10G", "max_price": 5, **keys}
    found = config.parse({"hosts": {"a": entry}}, "test").hosts["a"]
    assert isinstance(found, Spec)
    return found


def owner(stack: Stack, host: str = "a") -> Owner:
    return Owner(stack.project, stack.name, host)


def mark(stack: Stack, host: str = "a", generation: int = 1, **keys: Any) -> str:
    return owner(stack, host).mark(generation, spec(**keys).fingerprint())


def launch(tag: str, region: str = HOME, *, price: str | None = "1.2345", spot: bool = False) -> str:
    """Start an instance as Pulumi does; returns its id at gpurig."""
    ec2 = boto3.client("ec2", region_name=region)
    tags = {client.TAG: tag, **({PRICE: price, STOPPED: "0.0123"} if price else {})}
    made = ec2.run_instances(
        ImageId=AMI,
        InstanceType="g5.xlarge",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
        **({"InstanceMarketOptions": {"MarketType": "spot"}} if spot else {}),
    )
    return f"{region}/{made['Instances'][0]['InstanceId']}"


def set_state(machine: str, name: str, code: int) -> None:
    region, _, identifier = machine.partition("/")
    state = ec2_backends["123456789012"][region].get_instance(identifier)._state
    state.name, state.code = name, code


def state(machine: str) -> str:
    region, _, identifier = machine.partition("/")
    line = client.instance(region, identifier)
    assert line
    return str(line["State"]["Name"])


def refusing(monkeypatch: pytest.MonkeyPatch, method: str, code: str, status: int = 400) -> None:
    """Let EC2 answer a call with an error."""
    made = boto3.client("ec2", region_name=HOME)
    stub = Stubber(made)
    stub.add_client_error(method, code, "as AWS says it", http_status_code=status)
    stub.activate()
    monkeypatch.setattr(client, "_client", lambda *_: made)
