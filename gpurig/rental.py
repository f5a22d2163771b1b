"""What a user writes about a host to rent: the wish, shared by all vendors that rent machines out."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from gpurig import gpu_key
from gpurig.mistakes import did_you_mean
from gpurig.offers import Wish
from gpurig.providers import RENTERS
from gpurig.spec import HostSpec


def _share(value: Any) -> Any:
    """0 to 1, and not per cent, which is said."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    if 1 < number <= PERCENT:
        raise ValueError(f"a share from 0 to 1; write {number / PERCENT:g}")
    return value


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(f"{', '.join(twice)} is there twice; name each vendor once, the preferred one first")
    return names


def _of_a_vendor(name: str) -> str:
    vendor = name.partition("/")[0]
    if vendor not in RENTERS:
        raise ValueError(f"no such vendor{did_you_mean(vendor, RENTERS)}; write one such as vastai/12345")
    return name


PERCENT = 100
Money = Annotated[Decimal, Field(gt=0, le=10_000, decimal_places=4)]
Excluded = Annotated[str, StringConstraints(pattern=r"^[a-z]+/.+$"), AfterValidator(_of_a_vendor)]
RenterName = Literal["vastai", "runpod", "lambdalabs", "digitalocean", "paperspace"]
"""Vendors that one host may be rented from as it comes; AWS is not among them, since Pulumi's program makes its machines."""


class RentalSpec(HostSpec):
    """A machine to rent: the cheapest one that meets these keys is taken."""

    fixed: ClassVar[frozenset[str]] = frozenset({"provider", "gpu", "count", "disk", "image", "interruptible"})

    gpu: gpu_key.WantedGpu = Field(
        description="Model by its canonical name, such as RTX 4090 (gpurig/gpus.toml); or {name, count, memory}.",
        json_schema_extra=gpu_key.name_or_mapping(*gpu_key.WISH),
    )
    count: int = Field(default=1, ge=1, le=16, description="How many GPUs.")
    memory: float | None = Field(default=None, gt=0, le=2048, description="Least memory of each GPU, in GB.")
    disk: int = Field(default=50, ge=8, le=65536, description="Disk in GB; it cannot grow later.")
    max_price: Money = Field(
        description="The most it may cost in an hour, disk included, in USD. Nothing dearer is rented."
    )
    region: str | None = Field(
        default=None,
        description="Country (SE), group of countries (EU, NA, ASIA) or the vendor's own name of a region.",
    )
    reliability: Annotated[float | None, BeforeValidator(_share)] = Field(
        default=None, ge=0, le=1, description="Least reliability, 0 to 1, where it is known."
    )
    link: float | None = Field(default=None, gt=0, description="Least download speed, in Mbit/s, where it is known.")
    interruptible: bool = Field(
        default=False, description="Rent what may be taken away at any time, for less; only some vendors have it."
    )
    exclude: tuple[Excluded, ...] = Field(
        default=(), description="Machines that are not to be rented, such as vastai/12345; `rig offers` shows them."
    )
    image: str | None = Field(
        default=None, description="The vendor's name of an image; default: one that is known to work."
    )
    tries: int = Field(
        default=3, ge=1, le=10, description="How many machines are tried until one passes its acceptance."
    )

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, data: Any) -> Any:
        """`gpu: {name, count, memory}` is another way to write three keys."""
        return gpu_key.flat(data, gpu_key.WISH)

    def wish(self, exclude: frozenset[tuple[str, str]] = frozenset()) -> Wish:
        """What is looked for among offers. exclude: machines that proved bad, besides those of the entry."""
        written = [name.partition("/") for name in self.exclude]
        return Wish(
            gpu=self.gpu,
            count=self.count,
            memory=self.memory,
            disk=self.disk,
            max_price=self.max_price,
            region=self.region,
            reliability=self.reliability,
            link=self.link,
            interruptible=self.interruptible,
            exclude=exclude | {(provider, machine) for provider, _, machine in written},
        )


class MarketSpec(RentalSpec):
    """A machine to rent from any of several vendors; within their order of preference, the cheapest."""

    provider: Literal["market"] = "market"
    providers: Annotated[tuple[RenterName, ...], AfterValidator(_each_once)] = Field(
        min_length=1, description="Vendors in order of preference."
    )

    def sources(self) -> tuple[str, ...]:
        return self.providers
