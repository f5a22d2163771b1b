"""Who would lose work if WSL were restarted, which ends every distribution of the Windows user."""

from __future__ import annotations

from gpurig.windows import inside, wire
from gpurig.windows.state import State


def busy(state: State) -> list[str]:
    """In words; empty where nobody would. Of sections inside and wsl, which must have been read."""
    asked, native = state["inside"], state["wsl"]["running"]
    said = wire.text_of(native).splitlines() if native and native["code"] == 0 else []
    running = [line.strip() for line in said if line.strip()]
    facts = inside.facts(asked)
    ours = asked["distribution"].lower()
    if facts.busy is None and ours in [name.lower() for name in running]:
        return [f"{asked['distribution']} runs and does not answer ({facts.problem})"]
    others = [name for name in running if name.lower() != ours]
    return [*(facts.busy or ()), *(f"the distribution {name} runs, which is not ours" for name in others)]
