"""Whether the driver answers, and for which GPUs: as many, of the model and with the memory that were wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gpurig import gpus
from gpurig.health import devices, models, recording, thresholds
from gpurig.health.cells import not_told, number, text
from gpurig.health.finding import Finding, Wanted
from gpurig.health.recording import Row, Run

GB, MIB, GIB = 10**9, 2**20, 2**30

LEFT_BY_ECC = 15 / 16
"""Part of its memory that a GPU without memory made for ECC has left where ECC is on: an L4 tells 23034 of 24576 MiB."""

MADE_FOR_ECC = ("A100", "A30", "B", "GH", "H", "P100", "V100")
"""How names of models with HBM begin, which has extra room for ECC. Source: NVIDIA, data sheets."""

SLOWER_FORM = 0.9
"""Part of the model's fastest form below which another form is worth a warning. Source: gpurig."""

NAME = "nvidia-smi"

SOURCE = "NVIDIA, nvidia-smi manual: return value; nvml.h: nvmlReturn_t"

REBOOT = "Reboot the machine, then verify again; of a rented machine, take another."

FAILURES = (
    (r"driver/library version mismatch", 18, "The driver was updated, and the old one is still loaded.", REBOOT),
    (r"requires reset|reset required", 16, "A GPU must be reset before it can be used.", f"Reset it. {REBOOT}"),
    (r"is lost|fallen off the bus", 15, "A GPU fell off the bus: heat, power, a riser or a fault of the card.", REBOOT),
    (r"inforom is corrupted", 14, "A GPU's own record of its settings and errors is damaged.", "Have it replaced."),
    (r"libnvidia-ml|couldn't find.*library", 12, "The driver's library is missing.", "Install the driver anew."),
    (
        r"no devices were found",
        6,
        "The driver runs, and sees no GPU that it can use.",
        f"See the kernel's log. {REBOOT}",
    ),
    (r"couldn't communicate with the nvidia driver", 9, "The driver is not loaded.", "Install the driver, or reboot."),
    (r"power cables", 8, "A GPU's power cables are not attached.", "Attach them."),
    (r"insufficient permissions", 4, "The GPU's device nodes are closed to this user.", "Look at /dev/nvidia*."),
)
"""What nvidia-smi says, its exit code, what it means, what to do. Words tell more than codes, so they are asked first."""

CORRUPTED = 14

GPU_LINE = re.compile(r"GPU \d+: \S.*")


def judge(found: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    """Findings about the driver's answer, its version, and number, models and memory of the GPUs."""
    if reason := recording.skipped(found, "smi"):
        yield Finding(name=NAME, verdict="SKIP", reason=reason)
        return
    smi = recording.section(found, "smi")
    listed, query = recording.run_of(smi.get("list")), recording.run_of(smi.get("query"))
    yield _answer(listed, query)
    rows = recording.gpus(found)
    lines = [line for line in listed.out.splitlines() if GPU_LINE.fullmatch(line)]
    if not lines and not rows:
        return
    yield _count(max(len(lines), len(rows)), wanted)
    yield from _on_bus(recording.section(found, "devices").get("pci"), max(len(lines), len(rows)), wanted)
    if rows:
        yield _version(rows, str(recording.section(found, "devices").get("module") or ""), wanted)
    for index, row in enumerate(rows):
        yield _model(f"GPU {index}: model", row, wanted)
        yield _memory(f"GPU {index}: memory", row, wanted)


def _answer(listed: Run, query: Run) -> Finding:
    bad = next((run for run in (listed, query) if run.code != 0), None)
    if bad is None:
        return Finding(name=NAME, verdict="PASS", value="answers", expected="answers", source=SOURCE)
    said = f"{bad.err} {bad.out}".lower()
    by_words = (row for row in FAILURES if re.search(row[0], said))
    by_code = (row for row in FAILURES if row[1] == bad.code)
    _, code, meaning, advice = next(iter((*by_words, *by_code)), ("", 0, "It failed.", REBOOT))
    if bad.code is None:
        meaning = "nvidia-smi cannot be run, or it hangs, as it does on a dead GPU."
    return Finding(
        name=NAME,
        verdict="WARN" if code == CORRUPTED and "GPU 0" in listed.out else "FAIL",
        value=bad.words if bad.code is None else f"exit code {bad.code}: {bad.words}",
        expected="answers",
        source=SOURCE,
        reason=meaning,
        advice=advice,
    )


def _count(found: int, wanted: Wanted) -> Finding:
    fine = found == wanted.count if wanted.count is not None else found > 0
    return Finding(
        name="GPUs",
        verdict="PASS" if fine else "FAIL",
        value=f"{found}",
        expected="1 or more" if wanted.count is None else f"{wanted.count}",
        source="" if wanted.count is None else "what this host is wanted to have",
        reason=""
        if fine
        else "There are more GPUs than wanted."
        if found > (wanted.count or 0)
        else "A GPU is missing.",
        advice=""
        if fine
        else "Write their number as `count` into the host's entry, if it is meant to be so."
        if found > (wanted.count or 0)
        else "See the kernel's log and `nvidia-smi -L` on the host; of a rented machine, take another.",
    )


def _on_bus(drivers: Any, listed: int, wanted: Wanted) -> Iterator[Finding]:
    """Whether nvidia-smi lists every GPU that the PCI bus has. In containers and WSL2 the bus tells nothing of it."""
    if wanted.platform != "native" or not isinstance(drivers, list):
        return
    there = [driver for driver in recording.strings(drivers) if driver != devices.LENT]
    if not there:
        return
    missing = len(there) - listed
    has = ", ".join(f"{there.count(name)} with {name or 'no driver'}" for name in sorted({*there}))
    yield Finding(
        name="GPUs on the PCI bus",
        verdict="PASS" if missing <= 0 else "WARN" if wanted.count == listed else "FAIL",
        value=f"{len(there)}: {has}; nvidia-smi lists {listed}",
        expected="nvidia-smi lists as many",
        source="Linux, /sys/bus/pci/devices: class 0x03, vendor 0x10de",
        reason="" if missing <= 0 else "A GPU is in the machine, and the driver cannot use it.",
        advice=""
        if missing <= 0
        else "See the kernel's log, and whether the driver still knows so old a card. If it is meant to be so, write the "
        "`count` of the others into the host's entry.",
    )


def _version(rows: list[Row], module: str, wanted: Wanted) -> Finding:
    said = text(rows[0], "driver_version")
    if not said:
        return not_told("driver's version", rows[0], "driver_version", wanted)
    fine = not module or wanted.platform == "wsl2" or module == said
    return Finding(
        name="driver's version",
        verdict="PASS" if fine else "FAIL",
        value=said if fine else f"{said}; in the kernel {module}",
        expected="one, in the kernel and in the libraries",
        source="NVIDIA, nvml.h: NVML_ERROR_LIB_RM_VERSION_MISMATCH",
        reason="" if fine else FAILURES[0][2],
        advice="" if fine else REBOOT,
    )


def _model(name: str, row: Row, wanted: Wanted) -> Finding:
    said = text(row, "name")
    if not said:
        return not_told(name, row, "name", wanted)
    model = _known(row)
    if wanted.gpu is None or model is None:
        reason = (
            "gpurig/gpus.toml does not know this model" if model is None else "nobody said which model it should be"
        )
        if wanted.gpu is None:
            return Finding(name=name, verdict="SKIP", value=said, reason=reason)
    fine = model is not None and model.name == wanted.gpu
    of_form = models.find(said)
    value = f"{said} ({of_form.form} form)" if of_form and of_form.form else said
    if fine and of_form and of_form.part < SLOWER_FORM:
        return Finding(
            name=name,
            verdict="WARN",
            value=value,
            expected=wanted.gpu,
            source=of_form.source,
            reason=f"There is a faster form of this model: this one reaches {of_form.part:.0%} of it.",
            advice="Compare its price with those of this form; a host's `gpu` cannot ask for a form.",
        )
    return Finding(
        name=name,
        verdict="PASS" if fine else "FAIL",
        value=value,
        expected=wanted.gpu,
        source="what this host is wanted to have",
        reason="" if fine else "It is another GPU than the one that was paid for.",
        advice="" if fine else "Of a rented machine, take another and tell the vendor; else write what it has.",
    )


def _memory(name: str, row: Row, wanted: Wanted) -> Finding:
    if (mib := number(row, "memory.total")) is None:
        return not_told(name, row, "memory.total", wanted)
    found, model = mib * MIB / GB, _known(row)
    shared = text(row, "ecc.mode.current") == "Enabled" and model and not model.name.startswith(MADE_FOR_ECC)
    kept = LEFT_BY_ECC if shared else 1.0
    nominal = kept * model.memory * GIB / GB if model else 0.0
    promised = max(nominal, wanted.memory or 0.0)
    if not promised:
        reason = "gpurig/gpus.toml does not know this model, and nobody said how much it should have"
        return Finding(name=name, verdict="SKIP", value=f"{found:.1f} GB", reason=reason, figure=found, unit="GB")
    least = thresholds.of("min_memory_part", wanted)
    fine = found >= least.value * promised
    return Finding(
        name=name,
        verdict="PASS" if fine else "FAIL",
        value=f"{found:.1f} GB",
        expected=f"{least.value * promised:.1f} GB or more, {least.value:.0%} of {_promise(model, promised, nominal, kept)}",
        source=least.source,
        reason="" if fine else "It is a part of a GPU (MIG, vGPU), or another card than it says.",
        advice="" if fine else "Of a rented machine, take another and tell the vendor.",
        figure=found,
        unit="GB",
    )


def _promise(model: gpus.Gpu | None, promised: float, nominal: float, kept: float) -> str:
    """How a vendor names so much memory: of a model in GiB, of an offer in GB."""
    if model is None or promised > nominal:
        return f"{promised:g} GB"
    return f"{model.memory:g} GiB" + (", of which ECC takes a sixteenth" if kept < 1 else "")


def _known(row: Row) -> gpus.Gpu | None:
    """The model, told apart by its memory where several share a name."""
    mib, name = number(row, "memory.total"), text(row, "name")
    return (gpus.find(name, mib / 1024) if mib else None) or gpus.find(name)
