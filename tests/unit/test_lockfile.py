"""What a lock tells: for which CUDA it is, what it was made from."""

from __future__ import annotations

import pytest

from gpurig import lockfile


@pytest.mark.parametrize(
    ("lock", "cuda", "build", "torch"),
    [
        (
            "torch==2.14.1 \\\n    --hash=sha256:00\ncuda-toolkit==13.0.3 ; sys_platform == 'linux' \\\n",
            (13, 0),
            "cu130",
            "2.14.1",
        ),
        ("cuda-toolkit[cublas,cudart]==13.2.2\ntorch==2.15.0\n", (13, 2), "cu132", "2.15.0"),
        ("nvidia-cuda-runtime-cu12==12.8.90\ntorch==2.9.1\n", (12, 8), "cu128", "2.9.1"),
        ("torch==2.14.1+cu126 \\\n    --hash=sha256:00\n", (12, 6), "cu126", "2.14.1"),
        ("torch==2.14.1+cu126\nnvidia-cuda-runtime-cu12==12.6.77\n", (12, 6), "cu126", "2.14.1"),
        ("torch==2.7.1+cu118\n", (11, 8), "cu118", "2.7.1"),
        ("torch==2.13.0+cpu\nnumpy==2.4.6\n", None, "cpu", "2.13.0"),
        ("torch==2.13.0\n", None, "cpu", "2.13.0"),
        ("torchvision==0.29.1\nnumpy==2.4.6\n", None, "", ""),
    ],
)
def test_the_pins_tell_the_build(lock: str, cuda: tuple[int, int] | None, build: str, torch: str) -> None:
    assert (lockfile.cuda_of(lock), lockfile.build_of(lock), lockfile.torch_of(lock)) == (cuda, build, torch)


def test_a_package_is_found_by_its_whole_name() -> None:
    lock = "ipykernel-extras==1.0 \\\nipykernel==7.4.0 \\\n"
    assert lockfile.has(lock, "ipykernel")
    assert not lockfile.has("ipykernel-extras==1.0 \\\n", "ipykernel")
    assert lockfile.has("- conda: conda-forge/noarch/ipykernel-7.1.0-pyh_0.conda\n", "ipykernel")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"project": {"dependencies": ["numpy>=2"]}}, False),
        ({"project": {"requires-python": ">=3.12"}}, False),
        ({"tool": {"uv": {"constraint-dependencies": ["x<2"]}}}, False),
        ({"project": {"version": "2", "description": "other"}}, True),
        ({"tool": {"gpurig": {"disk_gb": 9}}}, True),
    ],
)
def test_the_digest_follows_what_a_lock_is_made_from_and_nothing_else(
    change: dict[str, dict[str, object]], same: bool
) -> None:
    project: dict[str, dict[str, object]] = {
        "project": {"dependencies": ["numpy"], "requires-python": ">=3.11", "version": "1"},
        "tool": {"gpurig": {"disk_gb": 1}},
    }
    changed = {key: {**value, **change.get(key, {})} for key, value in project.items()}
    assert (lockfile.project_digest(project) == lockfile.project_digest(changed)) == same


def test_a_lock_tells_what_it_was_made_from_and_is_otherwise_what_it_was() -> None:
    lock = "numpy==2.4.6 --hash=sha256:00\n"
    noted = f"{lockfile.MADE_FROM}abc123\n{lock}"
    assert lockfile.made_from(noted) == "abc123"
    assert lockfile.made_from(lock) == ""
    assert lockfile.bare(noted) == lock
