"""Amazon EC2, its prices and its images, through boto3: calls and nothing else. Never run against Amazon; see the package.

boto3 is imported with the first call. Credentials are AWS's usual chain, and so is AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from gpurig.errors import ConfigError
from gpurig.providers import DoubtError, RefusedError

TAG = "gpurig"
"""Key of the tag that holds a machine's mark."""

REGIONS = "GPURIG_AWS_REGIONS"
"""Environment variable with the regions to look in, by comma; default: every one that the account has enabled."""

LISTED = ("pending", "running", "shutting-down", "stopping", "stopped")
"""States of an instance that is there; one that is `terminated` is gone, though it is shown for an hour."""

PAGE = 500
"""Instances in one answer."""

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
"""Environment variables that say where credentials are."""

CHAIN = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
)  # fmt: skip
"""What else of the environment AWS's usual chain looks at."""

WRONG_CREDENTIALS = (
    "AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "ExpiredToken",
    "ExpiredTokenException", "RequestExpired", "InvalidAccessKeyId",
)  # fmt: skip
"""What AWS answers where the credentials are not (any longer) right."""

LATER = (
    "RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled", "InternalError", "Unavailable",
)  # fmt: skip
"""What AWS answers where the same call may do later."""

ON_DEMAND = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}

ONCE, TRIES = 1, 4
"""How often boto3 makes a call: of a search, which must not hold up the other vendors' answers, and any other."""

_sessions: dict[tuple[str | None, ...], Any] = {}
_clients: dict[tuple[str | int, ...], Any] = {}
_lock = threading.Lock()


class AwsRefusedError(RefusedError):
    """AWS said no. code: its own word, such as UnauthorizedOperation."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def missing_key() -> str:
    """What would hold credentials, where none of the usual places does; empty where one does. Asks nobody.

    The role of an EC2 instance that this runs on cannot be seen so; set AWS_PROFILE there.
    """
    files = [
        Path(os.environ.get(variable) or Path.home() / ".aws" / name)
        for variable, name in (("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config"))
    ]
    there = any(os.environ.get(name) for name in CREDENTIALS) or any(file.is_file() for file in files)
    return "" if there else "AWS_ACCESS_KEY_ID"


def default_region() -> str:
    """The region of AWS's usual chain; empty where it has none."""
    with _told():
        return _session().region_name or ""


def regions() -> list[str]:
    """Where instances may be: GPURIG_AWS_REGIONS, else every region that this account has enabled."""
    chosen = [name.strip() for name in os.environ.get(REGIONS, "").split(",") if name.strip()]
    if chosen:
        return chosen
    with _told():
        answer = _client("ec2", default_region() or "us-east-1").describe_regions(AllRegions=False)
    return sorted(line["RegionName"] for line in answer["Regions"])


def instances(region: str) -> list[dict[str, Any]]:
    """Every instance of a region that is there and has our tag, whatever its value; all pages."""
    filters = [{"Name": "tag-key", "Values": [TAG]}, {"Name": "instance-state-name", "Values": list(LISTED)}]
    with _told(region):
        pages = _client("ec2", region).get_paginator("describe_instances").paginate(
            Filters=filters, PaginationConfig={"PageSize": PAGE}
        )  # fmt: skip
        return [line for page in pages for group in page["Reservations"] for line in group["Instances"]]


def instance(region: str, identifier: str) -> dict[str, Any] | None:
    """One instance, also for the hour after its end; None where AWS knows none."""
    filters = [{"Name": "instance-id", "Values": [identifier]}]
    with _told(region):
        answer = _client("ec2", region).describe_instances(Filters=filters)
    return next((line for group in answer["Reservations"] for line in group["Instances"]), None)


def terminate(region: str, identifier: str) -> None:
    """End an instance and its disk. Succeeds where it is gone."""
    try:
        with _told(region):
            _client("ec2", region).terminate_instances(InstanceIds=[identifier])
    except AwsRefusedError as error:
        if error.code != "InvalidInstanceID.NotFound":
            raise


def start(region: str, identifier: str) -> None:
    """Start a stopped instance."""
    with _told(region):
        _client("ec2", region).start_instances(InstanceIds=[identifier])


def stop(region: str, identifier: str) -> None:
    """Stop an instance, its disk kept."""
    with _told(region):
        _client("ec2", region).stop_instances(InstanceIds=[identifier])


def instance_types(region: str, names: Iterable[str]) -> list[dict[str, Any]]:
    """Those of these types that the region has."""
    filters = [{"Name": "instance-type", "Values": list(names)}]
    with _told(region):
        pages = _client("ec2", region, ONCE).get_paginator("describe_instance_types").paginate(Filters=filters)
        return [line for page in pages for line in page["InstanceTypes"]]


def subnets(region: str, identifier: str = "") -> list[dict[str, Any]]:
    """The one with this id, else those for instances that name none, of which a region without default VPC has none."""
    filters = [{"Name": "subnet-id" if identifier else "default-for-az", "Values": [identifier or "true"]}]
    with _told(region):
        return list(_client("ec2", region).describe_subnets(Filters=filters)["Subnets"])


def spot_prices(region: str, names: Iterable[str], zone: str = "") -> dict[str, tuple[Decimal, str]]:
    """Type → the lowest price of a spot instance now, in USD per hour, and its zone. zone: look there alone."""
    found: dict[str, tuple[Decimal, str]] = {}
    there = [{"Name": "availability-zone", "Values": [zone]}] if zone else []
    with _told(region):
        pages = _client("ec2", region, ONCE).get_paginator("describe_spot_price_history").paginate(
            InstanceTypes=list(names), ProductDescriptions=["Linux/UNIX"], StartTime=datetime.now(UTC), Filters=there
        )  # fmt: skip
        for line in (line for page in pages for line in page["SpotPriceHistory"]):
            price = Decimal(line["SpotPrice"]), line["AvailabilityZone"]
            found[line["InstanceType"]] = min(price, found.get(line["InstanceType"], price))
    return found


def list_price(region: str, name: str) -> Decimal | None:
    """USD per hour on demand after Amazon's price list; None where it has none. Needs the right pricing:GetProducts."""
    wanted = ON_DEMAND | {"instanceType": name, "regionCode": region}
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    with _told():
        answer = _client("pricing", "us-east-1", ONCE).get_products(
            ServiceCode="AmazonEC2", Filters=filters, FormatVersion="aws_v1", MaxResults=10
        )
    for product in map(json.loads, answer["PriceList"]):
        for term in product.get("terms", {}).get("OnDemand", {}).values():
            for dimension in term["priceDimensions"].values():
                price = Decimal(dimension["pricePerUnit"].get("USD", "0"))
                if price:
                    return price
    return None


def parameters(region: str, names: Sequence[str]) -> dict[str, str]:
    """Those of these SSM parameters that there are, with their values."""
    with _told(region):
        answer = _client("ssm", region).get_parameters(Names=list(names))
    return {line["Name"]: line["Value"] for line in answer["Parameters"]}


def image(region: str, identifier: str) -> dict[str, Any] | None:
    """One AMI; None where it is not there for this account."""
    with _told(region):
        found: list[dict[str, Any]] = _client("ec2", region).describe_images(ImageIds=[identifier])["Images"]
    return found[0] if found else None


def _client(service: str, region: str, tries: int = TRIES) -> Any:
    """A client of one service; the same one for all threads."""
    from botocore.config import Config

    with _lock:
        session = _session()
        key = (service, region, tries, id(session))
        if key not in _clients:
            retries = {"mode": "standard", "total_max_attempts": tries}
            settings = Config(connect_timeout=4, read_timeout=8, retries=retries)
            _clients[key] = session.client(service, region_name=region, config=settings)
        return _clients[key]


def _session() -> Any:
    """AWS's usual chain as it is now. One for all clients, since each reads some 30 MB of descriptions."""
    import boto3

    now = tuple(os.environ.get(name) for name in (*CREDENTIALS, *CHAIN))
    if now not in _sessions:
        _sessions[now] = boto3.Session()
    return _sessions[now]


@contextmanager
def _told(region: str = "") -> Iterator[None]:
    """Say what went wrong in our terms. Only calls that may be repeated are made here, so boto3 repeats them itself."""
    from botocore import exceptions

    place = f" in {region}" if region else ""
    try:
        yield
    except exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = f"aws{place}: {error.response.get('Error', {}).get('Message') or error} ({code})"
        if code in WRONG_CREDENTIALS:
            raise ConfigError(
                f"{said}. Are the credentials right, and not expired? `aws sts get-caller-identity` tells."
            ) from error
        if code in LATER or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:  # noqa: PLR2004
            raise DoubtError(said) from error
        if code in ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException") and region:
            said += f". {REGIONS}=eu-central-1,us-east-1, for instance, leaves out where you may not look."
        raise AwsRefusedError(said, code) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise DoubtError(f"aws{place}: no answer ({error})") from error
    except exceptions.BotoCoreError as error:
        raise ConfigError(
            f"aws: {error}. Credentials are found where AWS's own tools find them: AWS_ACCESS_KEY_ID with "
            "AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or ~/.aws (`aws configure`, `aws sso login`)."
        ) from error
