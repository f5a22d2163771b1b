"""Which AMI an instance starts from."""

from __future__ import annotations

from gpurig.errors import ConfigError
from gpurig.providers.aws import client

ARCHITECTURE = "/aws/service/deeplearning/ami/x86_64"
NAMES = tuple(
    f"{ARCHITECTURE}/base-oss-nvidia-driver-{kind}/latest/ami-id"
    for kind in ("gpu-ubuntu-24.04", "gpu-ubuntu-22.04", "ubuntu-22.04")
)
"""SSM parameters with the id of the Deep Learning Base AMI, the first that is there counts: Amazon has renamed them before."""


def find(region: str, wanted: str | None) -> tuple[str, int]:
    """The id of an AMI and the least size of its disk in GB. wanted: its id or an SSM parameter with it; None for NAMES.

    Raises ConfigError where there is none.
    """
    identifier = wanted if wanted and not wanted.startswith("/") else ""
    if not identifier:
        names = [wanted] if wanted else list(NAMES)
        values = client.parameters(region, names)
        identifier = next((values[name] for name in names if name in values), "")
        if not identifier:
            raise ConfigError(
                f"image: in {region} there is no SSM parameter {' nor '.join(names)}. Write an AMI's id, or the parameter's name "
                "as Amazon's documentation of its Deep Learning AMIs has it now."
            )
    found = client.image(region, identifier)
    if found is None:
        raise ConfigError(f"image: there is no {identifier} in {region}, or it is not shared with this account.")
    disks = [mapping["Ebs"] for mapping in found.get("BlockDeviceMappings", ()) if "Ebs" in mapping]
    return identifier, max((int(disk.get("VolumeSize") or 0) for disk in disks), default=0)
