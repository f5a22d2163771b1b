"""PyTorch computes right: it has kernels for the GPU, integers are exact, bits repeat, and it agrees with the CPU."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gpurig.health import recording, thresholds
from gpurig.health.cuda import BAD, HANG
from gpurig.health.figures import number, part, parts
from gpurig.health.finding import Finding, Wanted
from gpurig.verdict import at_most

BUILD = "PyTorch: build"

TYPES = ("fp32", "tf32", "fp16", "bf16")
EXACT = ("fp32", "fp16", "bf16")

REBUILD = "Run `ansible-playbook playbooks/site.yml` for the host: it chooses the build by driver and GPU. `rig env lock NAME --build …` makes a lock for another."


def judge(found: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    """Every finding about PyTorch's results."""
    if reason := recording.skipped(found, "numbers"):
        yield Finding(name=BUILD, verdict="SKIP", reason=reason)
        return
    numbers = recording.section(found, "numbers")
    build = _build(numbers, number(recording.section(found, "cuda"), "count"))
    yield build
    if build.verdict == "FAIL":
        return
    for device in parts(numbers.get("devices")):
        gpu = label(numbers, device)
        if device.get("skipped"):
            yield Finding(name=f"{gpu}: PyTorch", verdict="SKIP", reason=str(device["skipped"]))
            continue
        if gpu != "CPU":
            yield _kernels(
                f"{gpu}: PyTorch's kernels", str(device.get("capability")), recording.strings(numbers.get("arch_list"))
            )
        if said := str(device.get("problem") or ""):
            yield _failed(f"{gpu}: PyTorch", said)
            continue
        yield _kernel(f"{gpu}: a kernel of PyTorch's", device)
        yield _exact(f"{gpu}: products of integers", part(device.get("exact")))
        yield _repeats(f"{gpu}: repeated products", part(device.get("repeats")))
        for name in TYPES:
            yield _against(f"{gpu}: {name} against the CPU", name, part(part(device.get("against")).get(name)), wanted)


def label(section: Mapping[str, Any], device: Mapping[str, Any]) -> str:
    """What a device is called in names of findings."""
    return "CPU" if section.get("device") == "cpu" else f"GPU {device.get('index', '?')}"


def runs_on(capability: str, architectures: Sequence[str]) -> bool:
    """Whether a build with these architectures has kernels for a GPU.

    Compiled code (`sm_86`) runs on GPUs of the same major and an equal or higher minor version, PTX (`compute_80`) on all
    later ones; a suffix (`sm_90a`) means exactly this GPU. Source: NVIDIA, CUDA programming guide, binary and PTX compatibility.
    """
    major, _, minor = capability.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        return False
    device = (int(major), int(minor))
    for architecture in architectures:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", architecture)
        if not match:
            continue
        built = (int(match[2]), int(match[3]))
        if built == device:
            return True
        if match[4]:
            continue
        if built < device and (match[1] == "compute" or built[0] == device[0]):
            return True
    return False


def _build(numbers: Mapping[str, Any], count: float | None) -> Finding:
    """count: of the GPUs that CUDA sees; None where it was not asked."""
    torch, cuda = numbers.get("torch"), numbers.get("cuda")
    said = str(numbers.get("problem") or "")
    on_cpu = numbers.get("device") == "cpu"
    without = bool(torch) and not cuda and not on_cpu
    seen = len(parts(numbers.get("devices")))
    if not said and (not seen or (count is not None and not on_cpu and seen != count)):
        said = f"it sees {seen} GPUs" + (f", CUDA sees {count:.0f}" if count else "")
    value = f"PyTorch {torch}" if torch else "no PyTorch"
    if not (without or said):
        return Finding(
            name=BUILD, verdict="PASS", value=value, expected="a build that uses the device", source="PyTorch"
        )
    return Finding(
        name=BUILD,
        verdict="FAIL",
        value=value if without else f"{value}: {said}",
        expected="a build for CUDA, that finds the GPU",
        source="PyTorch, torch.version.cuda and torch.cuda.is_available()",
        reason="It was built for the CPU only, and leaves the GPU unused."
        if without
        else "PyTorch cannot use the device.",
        advice=HANG if "no answer within" in said else REBUILD,
    )


def _failed(name: str, said: str) -> Finding:
    return Finding(
        name=name,
        verdict="FAIL",
        value=said,
        expected="all products are computed",
        source="PyTorch",
        reason="PyTorch did not get through its computations on this device.",
        advice=HANG
        if "no answer within" in said
        else "See the kernel's log on the host (`journalctl -k`), and what else uses the GPU.",
    )


def _kernels(name: str, capability: str, architectures: Sequence[str]) -> Finding:
    fine = runs_on(capability, architectures)
    return Finding(
        name=name,
        verdict="PASS" if fine else "FAIL",
        value=f"compute capability {capability}; built for {' '.join(architectures) or 'nothing'}",
        expected="an sm_ of the same major and no higher minor version, or an earlier compute_",
        source="NVIDIA, CUDA programming guide: binary and PTX compatibility",
        reason="" if fine else "This build has no kernels for this GPU (`no kernel image is available`).",
        advice=""
        if fine
        else f"Blackwell needs a build for CUDA 12.8 or later, GPUs before Turing one for CUDA 12.6. {REBUILD}",
    )


def _kernel(name: str, device: Mapping[str, Any]) -> Finding:
    right, found = 16.0, number(device, "kernel")
    fine = found == right
    return Finding(
        name=name,
        verdict="PASS" if fine else "FAIL",
        value="no result" if found is None else f"{found:g}",
        expected=f"{right:g}",
        source="(ones(8) · 2).sum()",
        reason="" if fine else "A sum of eight numbers is wrong.",
        advice="" if fine else BAD,
    )


def _exact(name: str, exact: Mapping[str, Any]) -> Finding:
    """All types must be there: one that is missing was not checked, unless the device cannot do it."""
    outcomes = {key: part(exact.get(key)) for key in EXACT}
    done = {key: one for key, one in outcomes.items() if not one.get("skipped")}
    wrong = {key: number(one, "wrong") if number(one, "elements") else None for key, one in done.items()}
    fine = bool(done) and all(count == 0 for count in wrong.values())
    said = [
        f"{key}: " + ("no result" if count is None else f"{count:.0f} of {number(done[key], 'elements'):.0f} wrong")
        for key, count in wrong.items()
    ]
    wrongly = "Sums of small integers came out wrong."
    source = "the same in fp64 on the CPU, where sums of such integers are exact in each type"
    return _right_or_bad(name, said, wrongly if not fine else "", expected="every element exact", source=source)


def _repeats(name: str, repeats: Mapping[str, Any]) -> Finding:
    outcomes = {key: (number(part(one), "times"), number(part(one), "different")) for key, one in repeats.items()}
    fine = "fp32" in outcomes and all(times and different == 0 for times, different in outcomes.values())
    said = [
        f"{key}: {different:.0f} of {times:.0f} differ" if times and different is not None else f"{key}: no result"
        for key, (times, different) in outcomes.items()
    ]
    wrongly = "The same product gave different bits: silent data corruption."
    source = "Imbue, gpu_stress_test: silent data corruption shows as results that differ"
    return _right_or_bad(name, said, wrongly if not fine else "", expected="the same bits every time", source=source)


def _right_or_bad(name: str, said: Sequence[str], wrong: str, *, expected: str, source: str) -> Finding:
    """wrong: what it means that the results are not as expected; empty where they are."""
    return Finding(
        name=name,
        verdict="FAIL" if wrong else "PASS",
        value=", ".join(said) or "no result",
        expected=expected,
        source=source,
        reason=wrong,
        advice=BAD if wrong else "",
    )


def _against(name: str, kind: str, outcome: Mapping[str, Any], wanted: Wanted) -> Finding:
    if outcome.get("skipped"):
        return Finding(name=name, verdict="SKIP", reason=str(outcome["skipped"]))
    most = thresholds.of(f"max_error_{kind}", wanted)
    frobenius, largest = number(outcome, "frobenius"), number(outcome, "largest")
    finite = outcome.get("finite") is True and frobenius is not None and largest is not None
    error = max(frobenius or 0.0, largest or 0.0) if finite else float("nan")
    verdict = at_most(error, warn=most.value, fail=most.value)
    fine = verdict == "PASS"
    return Finding(
        name=name,
        verdict=verdict,
        value=f"{frobenius:.2g} in all, {largest:.2g} at most" if finite else "not finite" if outcome else "no result",
        expected=f"a relative difference of at most {most.value:g}",
        source=most.source,
        reason="" if fine else "Products differ from the CPU's by more than rounding explains.",
        advice="" if fine else BAD,
        figure=error if finite else None,
        unit="relative" if finite else "",
    )
