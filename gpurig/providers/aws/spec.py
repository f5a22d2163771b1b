"""Configuration of a host at AWS."""

from __future__ import annotations

import ipaddress
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gpurig.mistakes import did_you_mean
from gpurig.providers.aws import types
from gpurig.rental import RentalSpec


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"not a range of addresses ({error}); write one such as 203.0.113.7/32") from None


Region = Annotated[str, StringConstraints(pattern=types.REGION)]
Network = Annotated[str, AfterValidator(_network)]
InstanceType = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")]
Subnet = Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]+$")]
Image = Annotated[str, StringConstraints(pattern=r"^(ami-[0-9a-f]+|/[A-Za-z0-9._/-]+)$")]


class Spec(RentalSpec):
    """An EC2 instance: systemd, user `ubuntu` with sudo. Pulumi's program makes it."""

    fixed: ClassVar[frozenset[str]] = RentalSpec.fixed | {"region", "instance_type", "subnet"}
    in_program: ClassVar[bool] = True

    provider: Literal["aws"]
    region: Region = Field(description="AWS region, such as eu-central-1.")
    instance_type: InstanceType | None = Field(
        default=None, description="Type of instance; default: the cheapest with these GPUs."
    )
    allow_from: Network | None = Field(
        default=None,
        description="Who may connect to SSH: a range such as 203.0.113.0/24. Default: this computer's own address alone.",
    )
    subnet: Subnet | None = Field(
        default=None,
        description="Id of a public subnet to put it into, such as subnet-0123abcd; default: the region's default VPC.",
    )
    image: Image | None = Field(
        default=None,
        description="An AMI's id, or the SSM parameter that holds one; default: the newest Deep Learning Base AMI with Ubuntu.",
    )

    @model_validator(mode="after")
    def _has_a_type(self) -> Spec:
        """There is an instance type with these GPUs, and the one that is written has them."""
        fitting = types.with_gpus(self.gpu, self.count)
        if self.instance_type in types.names() and self.instance_type not in fitting:
            row = types.row(self.instance_type)
            raise ValueError(f"instance_type: {self.instance_type} has {row['count']} × {row['gpu']}")
        if not fitting and self.instance_type is None:
            there = sorted({f"{row['count']} × {row['gpu']}" for row in map(types.row, types.names())})
            raise ValueError(
                f"gpu: no instance type is known with {self.count} × {self.gpu}{did_you_mean(self.gpu, there)}; there is "
                f"{', '.join(there)}. Or write instance_type"
            )
        return self
