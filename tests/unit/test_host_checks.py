"""What is refused when a stack's file is read, because it could only fail after minutes of installing on a host."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from gpurig import catalogue, config, services
from gpurig.errors import ConfigError

BEGINS = "Pulumi.test.yaml: gpurig:hosts.a."
RENTED = {"gpu": "RTX 4090", "max_price": 1}
LUPINE = {"services_lupine_url": "https://192.0.2.7/lupine", "services_lupine_sha256": "5f" * 32}
PC = {"provider": "workstation", "address": "192.0.2.1", "user": "me"}


def load(**keys: Any) -> None:
    config.parse({"hosts": {"a": {"provider": "container", **keys}}}, "Pulumi.test.yaml")


def mistakes(**keys: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(**keys)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(BEGINS) and line.endswith(".") and not line.endswith("..") for line in lines)
    return [line.removeprefix(BEGINS) for line in lines]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the environments that come with the repository, to be broken."""
    copied = tmp_path / "environments"
    for name in ("starter", "pytorch"):
        shutil.copytree(catalogue.ROOT / "environments" / name, copied / name)
    return copied


def broken(folder: Path, name: str = "starter") -> list[str]:
    return mistakes(environments=[name], variables={"environments_source": str(folder)})


# --- what services run from ------------------------------------------------------------------------------------------


def test_a_service_without_its_environment_is_refused() -> None:
    (line,) = mistakes(environments=["pytorch", "starter"], services=["jupyter", "mlflow"])
    assert line == (
        "services: mlflow runs from mlflow, but `environments` names only pytorch, starter; add mlflow to `environments`, "
        "or name another one with variables.services_environments."
    )


def test_each_missing_environment_is_told_once() -> None:
    found = mistakes(services=["jupyter", "tensorboard", "api"])
    assert [line.partition(";")[0] for line in found] == [
        "services: jupyter, tensorboard run from starter, but `environments` names only none",
        "services: api runs from pytorch, but `environments` names only none",
    ]


@pytest.mark.parametrize("name", catalogue.services())
def test_every_service_is_accepted_with_its_environment(name: str) -> None:
    own = services.described(name)["environment"]
    load(environments=[own] if own else [], services=[name], variables=LUPINE if name == "lupine" else {})


def test_another_environment_counts_instead_of_the_own_one() -> None:
    load(environments=["tirex"], services=["api"], variables={"services_environments": {"api": "tirex"}})
    (line,) = mistakes(
        environments=["starter"], services=["jupyter"], variables={"services_environments": {"jupyter": "tirex"}}
    )
    assert line.startswith("services: jupyter runs from tirex, but `environments` names only starter; add tirex to ")


def test_an_environment_without_a_model_cannot_serve_one() -> None:
    (line,) = mistakes(
        environments=["starter"], services=["api"], variables={"services_environments": {"api": "starter"}}
    )
    assert "services: api needs " in line
    assert "starter/service.py, which is not there; name another environment with variables.services_env" in line


def test_a_name_that_is_there_twice_is_refused() -> None:
    found = mistakes(environments=["starter", "starter"], services=["jupyter", "jupyter"])
    assert found == [
        "environments: starter is there twice; name it once.",
        "services: jupyter is there twice; name it once.",
    ]


# --- the environments' folders ---------------------------------------------------------------------------------------


def test_a_misspelt_key_of_an_environment_is_refused(folder: Path) -> None:
    project = folder / "starter/pyproject.toml"
    project.write_text(project.read_text().replace("disk_gb", "disk_bg"))
    unknown, missing = broken(folder)
    assert unknown.startswith(f"environments: {project}: tool.gpurig.disk_bg: unknown key (did you mean 'disk_gb'?)")
    assert missing.startswith(f"environments: {project}: tool.gpurig.disk_gb: missing; write the room")


def test_what_is_no_toml_is_refused(folder: Path) -> None:
    (folder / "starter/pyproject.toml").write_text("[project\n")
    (line,) = broken(folder)
    assert "starter/pyproject.toml: this is not TOML" in line


def test_a_missing_lock_names_the_command_that_makes_it(folder: Path) -> None:
    (folder / "starter/requirements.lock").unlink()
    (line,) = broken(folder)
    assert line.endswith("lacks requirements.lock; `rig env lock starter` makes it.")


def test_a_stale_lock_names_the_command_that_renews_it(folder: Path) -> None:
    project = folder / "starter/pyproject.toml"
    project.write_text(project.read_text().replace('requires-python = ">=3.11"', 'requires-python = ">=3.12"'))
    (line,) = broken(folder)
    assert "starter/requirements.lock: does not match " in line
    assert line.endswith("Run `rig env lock starter`.")


def test_only_environments_that_a_host_names_are_read(folder: Path) -> None:
    (folder / "starter/pyproject.toml").write_text("[project\n")
    load(environments=["pytorch"], variables={"environments_source": str(folder)})
    load(environments=["starter"], variables={"environments_source": "{{ playbook_dir }}/elsewhere"})


def test_what_only_ansible_knows_is_left_to_the_role() -> None:
    load(services=["jupyter"], variables={"services_environments": "{{ mine }}"})
    load(services=["jupyter"], variables={"services_environments": {"jupyter": "{{ mine }}"}})


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (
            {"nanochat": {"url": "/srv/nanochat", "commit": "main"}},
            "variables.environments_sources.nanochat: ",
        ),
        ({"nanochat": {"comit": "1" * 40}}, "environments_sources: nanochat.comit: unknown key"),
        ({"nanochat": "/srv/nanochat"}, "found '/srv/nanochat': write url and commit, as in {nanochat: {url: "),
        (
            {"nanochta": {"url": "/srv/nanochat", "commit": "1" * 40}},
            "variables.environments_sources.nanochta: there is no such environment (did you mean 'nanochat'?)",
        ),
        ("nanochat", "variables.environments_sources: found 'nanochat': write a map such as {nanochat: "),
    ],
)
def test_a_bad_source_is_refused(sources: object, said: str) -> None:
    (line,) = mistakes(environments=["nanochat"], variables={"environments_sources": sources})
    assert said in line


def test_a_bad_commit_says_what_to_write() -> None:
    bad = {"nanochat": {"url": "/srv/nanochat", "commit": "main"}}
    (line,) = mistakes(environments=["nanochat"], variables={"environments_sources": bad})
    assert "found 'main'; write the commit's full hash, 40 characters" in line


# --- GPU software ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["container", "vastai", "runpod"])
def test_a_container_gets_neither_driver_nor_container_engine(provider: str) -> None:
    keys = {} if provider == "container" else RENTED
    driver, engine = mistakes(provider=provider, **keys, nvidia_driver="580", container_engine="docker")
    assert driver.startswith("nvidia_driver: a container uses the kernel and the driver of the machine that it runs on")
    assert driver.endswith("Remove nvidia_driver from this host.")
    assert engine.startswith("container_engine: it is a container itself, which may not run others")


@pytest.mark.parametrize("provider", ["container", "vastai", "runpod"])
def test_a_container_has_the_toolkit_of_its_image(provider: str) -> None:
    keys = {} if provider == "container" else RENTED
    (line,) = mistakes(provider=provider, **keys, cuda_toolkit="13.0")
    assert line.startswith("cuda_toolkit: a container has the CUDA toolkit that its image brings")
    assert line.endswith("Remove cuda_toolkit from this host, or use a machine of its own or WSL2.")


def test_machines_of_their_own_and_wsl2_may_have_a_toolkit() -> None:
    load(**PC, cuda_toolkit="13.0")
    load(**PC, os="windows-wsl2", allow_from="192.0.2.0/24", cuda_toolkit="13.0")
    load(provider="lambdalabs", **RENTED, cuda_toolkit="13.0")


def test_a_toolkit_that_the_driver_asked_for_cannot_run_is_refused() -> None:
    entry = {**PC, "gpu_driver": "managed", "cuda_toolkit": "13.0"}
    load(**entry, nvidia_driver="580")
    (line,) = mistakes(**entry, nvidia_driver="570")
    assert (
        line == "cuda_toolkit: CUDA 13.0 needs driver 580 or newer, found 570. Use a newer driver, or an older toolkit."
    )


def test_the_vendor_is_named_where_there_are_several() -> None:
    entry = {"providers": ["lambdalabs", "runpod"], **RENTED, "container_engine": "docker"}
    with pytest.raises(ConfigError) as caught:
        config.parse({"hosts": {"a": entry}}, "Pulumi.test.yaml")
    assert str(caught.value).startswith(f"{BEGINS}container_engine: a host of runpod: it is a container itself")


def test_a_driver_of_others_is_left_alone() -> None:
    (line,) = mistakes(provider="lambdalabs", **RENTED, nvidia_driver="580")
    assert line.startswith("nvidia_driver: its driver is not ours to install (gpu_driver is provided)")


def test_a_machine_of_its_own_kernel_may_have_all() -> None:
    load(**PC, gpu_driver="managed", nvidia_driver="580", cuda_toolkit="13.0", container_engine="docker")
