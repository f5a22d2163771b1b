"""What a GPU tells of its own memory: errors, rows and pages taken out of use, and what it asks for to recover."""

from __future__ import annotations

from collections.abc import Iterator

from gpurig.health import thresholds
from gpurig.health.cells import not_told, number, of_server, text
from gpurig.health.finding import Finding, Wanted
from gpurig.health.recording import Row
from gpurig.verdict import Verdict

RESET = (
    "Reset it (`nvidia-smi --gpu-reset`) or reboot the machine, then verify again; of a rented machine, take another."
)
RETURN = "Have it replaced; of a rented machine, take another and tell the vendor."

CORRECTED = "ecc.errors.corrected.volatile.total"
UNCORRECTED = "ecc.errors.uncorrected.volatile.total"
LIFETIME = "ecc.errors.uncorrected.aggregate.total"
LIFETIME_SRAM = "ecc.errors.uncorrected.aggregate.sram"
REMAPPED = ("correctable", "uncorrectable", "pending", "failure")
RETIRED = ("retired_pages.single_bit_ecc.count", "retired_pages.double_bit.count")


def judge(gpu: str, row: Row, wanted: Wanted) -> Iterator[Finding]:
    """Every finding about one GPU's memory. gpu: `GPU 0`."""
    yield _recovery(f"{gpu}: recovery action", row, wanted)
    if not text(row, "ecc.mode.current"):
        yield not_told(f"{gpu}: memory errors", row, "ecc.mode.current", wanted)
        return
    yield _mode(f"{gpu}: ECC", row)
    yield _uncorrected(f"{gpu}: uncorrected memory errors", row, wanted)
    yield _lifetime(f"{gpu}: uncorrected memory errors in its life", row, wanted)
    yield _corrected(f"{gpu}: corrected memory errors", row, wanted)
    yield _remapped(f"{gpu}: remapped memory rows", row, wanted)
    if number(row, *RETIRED) is not None or text(row, "retired_pages.pending"):
        yield _retired(f"{gpu}: retired memory pages", row, wanted)


def _recovery(name: str, row: Row, wanted: Wanted) -> Finding:
    field = "gpu_recovery_action"
    if not (found := text(row, field)):
        return not_told(name, row, field, wanted)
    fine = found.lower() in ("none", "0")
    return Finding(
        name=name,
        verdict="PASS" if fine else "FAIL",
        value=found,
        expected="None",
        source="NVIDIA, nvml.h: nvmlDeviceGpuRecoveryAction",
        reason="" if fine else "The driver itself asks for this before the GPU may be used again.",
        advice="" if fine else f"Do what it asks for. {RESET}",
    )


def _mode(name: str, row: Row) -> Finding:
    now, later = text(row, "ecc.mode.current"), text(row, "ecc.mode.pending")
    changes, off = bool(later) and later != now, now == "Disabled" and of_server(row)
    return Finding(
        name=name,
        verdict="WARN" if changes or off else "PASS",
        value=f"{now}, {later} after the next reboot" if changes else now,
        expected="Enabled, on GPUs made for servers" if of_server(row) else "as it will be after the next reboot",
        source="Imbue, host health checks: ECC",
        reason=("Its memory errors go unseen, and corrupt results." if off else "It changes with the next reboot.")
        if changes or off
        else "",
        advice="Run `nvidia-smi --ecc-config=1` on the host and reboot it."
        if off
        else "Reboot the machine."
        if changes
        else "",
    )


def _uncorrected(name: str, row: Row, wanted: Wanted) -> Finding:
    if (found := number(row, UNCORRECTED)) is None:
        return not_told(name, row, UNCORRECTED, wanted)
    most = thresholds.of("max_ecc_uncorrected", wanted)
    fine = found <= most.value
    return Finding(
        name=name,
        verdict="PASS" if fine else "FAIL",
        value=f"{found:.0f} since the driver was loaded",
        expected=f"at most {most.value:g}",
        source=most.source,
        reason="" if fine else "Memory lost what was stored in it; what ran then may have computed wrong.",
        advice="" if fine else f"{RESET} Where they come back, have it replaced.",
        figure=found,
        unit="errors",
    )


def _lifetime(name: str, row: Row, wanted: Wanted) -> Finding:
    if (found := number(row, LIFETIME)) is None:
        return not_told(name, row, LIFETIME, wanted)
    most, sram = thresholds.of("max_ecc_uncorrected_sram", wanted), number(row, LIFETIME_SRAM)
    verdict: Verdict = "FAIL" if sram is not None and sram > most.value else "WARN" if found else "PASS"
    return Finding(
        name=name,
        verdict=verdict,
        value=f"{found:.0f}" + ("" if sram is None else f", {sram:.0f} of them in on-chip memory"),
        expected=f"0; more than {most.value:g} in on-chip memory fail",
        source=most.source,
        reason={"PASS": "", "WARN": "It had bad memory before; rows that are remapped are fine again."}.get(
            verdict, "On-chip memory cannot be remapped: the GPU is worn out."
        ),
        advice={"PASS": "", "WARN": "Look whether the number grows; nothing need be done for now."}.get(
            verdict, RETURN
        ),
        figure=found,
        unit="errors",
    )


def _corrected(name: str, row: Row, wanted: Wanted) -> Finding:
    if (found := number(row, CORRECTED)) is None:
        return not_told(name, row, CORRECTED, wanted)
    most, usual = thresholds.of("max_ecc_corrected", wanted), wanted.baseline.get(name, 0.0)
    verdict: Verdict = "FAIL" if found > most.value else "WARN" if found > usual else "PASS"
    return Finding(
        name=name,
        verdict=verdict,
        value=f"{found:.0f} since the driver was loaded",
        expected=f"{usual:.0f}, as usual on this host; more than {most.value:,.0f} fail"
        if usual
        else f"0; more than {most.value:,.0f} fail",
        source=most.source,
        reason={
            "PASS": "",
            "WARN": "Errors that ECC corrected do no harm; that they become more may announce worse.",
        }.get(verdict, "So many corrected errors come before those that cannot be corrected."),
        advice={"PASS": "", "WARN": "Look again after some days; nothing need be done for now."}.get(verdict, RETURN),
        figure=found,
        unit="errors",
    )


def _remapped(name: str, row: Row, wanted: Wanted) -> Finding:
    counts = {word: number(row, f"remapped_rows.{word}") for word in REMAPPED[:2]}
    pending, failed = (row.get(f"remapped_rows.{word}") for word in REMAPPED[2:])
    waits, lost = bool(pending and pending.yes), bool(failed and failed.yes)
    told = pending and failed and None not in (pending.yes, failed.yes)
    if not (told or waits or lost):
        return not_told(name, row, "remapped_rows.pending", wanted)
    worn = bool(counts["uncorrectable"])
    done = ", ".join(f"{count:.0f} for {word} errors" for word, count in counts.items() if count is not None)
    return Finding(
        name=name,
        verdict="FAIL" if waits or lost else "WARN" if worn else "PASS",
        value="; ".join(filter(None, ("remapping failed" * lost, "one waits for a reset" * waits, done)))
        or "none waits",
        expected="none waits, none failed, none for uncorrectable errors",
        source="Meta GCM, check-nvidia-smi row_remap; NVIDIA, Xid 64 and 63",
        reason="A bad row could not be replaced: there is no spare one left."
        if lost
        else "A bad row is still in use; it is replaced when the GPU is reset."
        if waits
        else "Memory lost what was stored in it before; the bad rows are replaced."
        if worn
        else "",
        advice=RETURN
        if lost
        else RESET
        if waits
        else "Look whether they become more; nothing need be done for now."
        if worn
        else "",
        figure=counts["uncorrectable"],
        unit="rows" if counts["uncorrectable"] is not None else "",
    )


def _retired(name: str, row: Row, wanted: Wanted) -> Finding:
    found = sum(number(row, field) or 0.0 for field in RETIRED)
    pending, most = row.get("retired_pages.pending"), thresholds.of("max_retired_pages", wanted)
    waits = bool(pending and pending.yes)
    verdict: Verdict = "FAIL" if waits or found > most.value else "WARN" if found else "PASS"
    return Finding(
        name=name,
        verdict=verdict,
        value=f"{found:.0f}" + ", one waits for a reset" * waits,
        expected=f"0; more than {most.value:g}, or one that waits, fail",
        source=most.source,
        reason="A bad page is still in use; it is taken out when the GPU is reset."
        if waits
        else ""
        if verdict == "PASS"
        else "Its memory had errors; the pages are out of use.",
        advice=RESET if waits else RETURN if verdict == "FAIL" else "Look whether they become more." if found else "",
        figure=found,
        unit="pages",
    )
