"""Where an instance is put: into the region's default VPC, or into a subnet that is written."""

from __future__ import annotations

from dataclasses import dataclass

from gpurig.errors import ConfigError
from gpurig.providers.aws import client


@dataclass(frozen=True, slots=True)
class Network:
    """A subnet, its VPC and its zone; all empty for the default VPC, where Amazon chooses."""

    subnet: str = ""
    vpc: str = ""
    zone: str = ""


def find(region: str, subnet: str | None) -> Network:
    """The network for a new instance. Raises ConfigError that names the key to write where there is none."""
    found = client.subnets(region, subnet or "")
    if not found and subnet:
        raise ConfigError(f"subnet: there is no {subnet} in {region}, or it is not of this account.")
    if not found:
        raise ConfigError(
            f"subnet: {region} has no default VPC to put an instance into; write the id of a public subnet there, or make a default "
            f"VPC (`aws ec2 create-default-vpc --region {region}`). Nothing was rented."
        )
    return Network(subnet, found[0]["VpcId"], found[0]["AvailabilityZone"]) if subnet else Network()
