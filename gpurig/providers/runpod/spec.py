"""Configuration of a host at RunPod."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gpurig.offers import Wish
from gpurig.rental import RentalSpec

Cloud = Literal["secure", "community", "any"]


class NetworkVolume(BaseModel):
    """A network volume of the account's, by its id, and where it is mounted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="The volume's id, as RunPod's console shows it.")
    path: str = Field(default="/workspace", pattern=r"^/[^:]+$", description="Where the host sees it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunpodWish(Wish):
    """A wish with what only RunPod has. network_volume: the id of one that must be mounted."""

    cloud: Cloud = "any"
    network_volume: str | None = None


def _by_id(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


def _id_or_mapping(schema: dict[str, Any]) -> None:
    """Both ways to write `network_volume`, for editors."""
    schema["anyOf"].append({"type": "string"})


class Spec(RentalSpec):
    """A container at RunPod: root, no systemd. Its `disk` outlasts a stop; it is mounted at /workspace."""

    fixed: ClassVar[frozenset[str]] = RentalSpec.fixed | {"cloud", "network_volume"}

    provider: Literal["runpod"]
    cloud: Cloud = Field(
        default="any",
        description="`secure` is RunPod's own data centres, `community` other people's machines, which cost less.",
    )
    network_volume: Annotated[NetworkVolume | None, BeforeValidator(_by_id)] = Field(
        default=None,
        description="Id of a network volume to mount, or {id, path}; the host is rented in the volume's data centre, and "
        "cannot be stopped.",
        json_schema_extra=_id_or_mapping,
    )

    @model_validator(mode="after")
    def _volumes_are_in_the_secure_cloud(self) -> Spec:
        if self.network_volume and self.cloud == "community":
            raise ValueError("network_volume: RunPod mounts these in its secure cloud only; write `cloud: secure`")
        return self

    def wish(self, exclude: frozenset[tuple[str, str]] = frozenset()) -> RunpodWish:
        plain = super().wish(exclude)
        common = {field.name: getattr(plain, field.name) for field in fields(plain)}
        return RunpodWish(
            **common, cloud=self.cloud, network_volume=self.network_volume.id if self.network_volume else None
        )
