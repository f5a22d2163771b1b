"""A host's keys for GPU software: what they become, and how a bad value is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig import config
from gpurig.errors import ConfigError


def load(**keys: Any) -> Any:
    host = {"provider": "workstation", "address": "192.0.2.1", "user": "me", "gpu_driver": "managed", **keys}
    return config.parse({"hosts": {"home": host}}, "Pulumi.x.yaml").hosts["home"]


def test_keys_become_the_roles_variables() -> None:
    found = load(nvidia_driver="580", cuda_toolkit="13.0", container_engine="podman").host_variables()
    assert found == {
        "nvidia_driver_branch": "580",
        "cuda_toolkit_version": "13.0",
        "container_engine_name": "podman",
    }
    assert load().host_variables() == {}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("cuda_toolkit", 13.0, 'found 13.0: write a version in quotes, such as "13.0"'),
        ("cuda_toolkit", "13", 'write a version in quotes, such as "13.0"'),
        ("cuda_toolkit", "latest", 'such as "13.0"'),
        ("nvidia_driver", 580, 'found 580: write a version in quotes, such as "580"'),
        ("nvidia_driver", "580.95.05", 'such as "580"'),
        ("container_engine", "lxc", "'docker' or 'podman'"),
    ],
)
def test_a_bad_value_is_refused_with_file_and_key(key: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(**{key: value})
    assert f"Pulumi.x.yaml: gpurig:hosts.home.{key}: " in str(refused.value)
    assert said in str(refused.value)
