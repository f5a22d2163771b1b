"""Completion of `rig`'s words in bash, zsh and fish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gpurig.errors import ConfigError, RigError
from gpurig.ops.command import GLOBAL_FLAGS, GLOBAL_OPTIONS, Command

# Each shell hands over the words so far and filters what comes back by the word that is being typed.
SCRIPTS = {
    "bash": """_rig() {
    COMPREPLY=( $(compgen -W "$(rig --complete -- "${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}") )
}
complete -o default -F _rig rig
""",
    "zsh": """#compdef rig
_rig() {
    local -a found
    found=("${(@f)$(rig --complete -- "${words[@]:0:$CURRENT}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}
compdef _rig rig
""",
    "fish": """complete --command rig --no-files \\
    --arguments '(set found (rig --complete -- (commandline --tokenize --cut-at-cursor) (commandline --current-token) 2>/dev/null); \\
        and test -n "$found"; and printf "%s\\n" $found; or __fish_complete_path (commandline --current-token))'
""",
}


def script(shell: str) -> str:
    """What to put into the shell's start-up file. Raises ConfigError for a shell that is not known."""
    if shell not in SCRIPTS:
        raise ConfigError(f"--print-completion-script {shell}: write one of {', '.join(SCRIPTS)}.")
    return SCRIPTS[shell]


def candidates(words: Sequence[str], commands: Mapping[str, Command]) -> Iterable[str]:
    """What may stand at the end of these words, which follow `rig`; the last of them may be a beginning."""
    plain = [word for word in words if not word.startswith("-")]
    command = commands.get(plain[0]) if plain else None
    if words and words[-1].startswith("-"):
        own = [flag for argument in command.get_arguments() for flag in _flags(argument.names)] if command else []
        return sorted({*own, *GLOBAL_FLAGS, *GLOBAL_OPTIONS})
    if command is None or len(plain) == 1:
        return list(commands)
    position = len(plain) - 2
    return _values(command.words[position], plain[1:]) if position < len(command.words) else []


def _values(word: str, before: Sequence[str]) -> list[str]:
    from gpurig import records, runs
    from gpurig.stack import open_stack

    try:
        stack = open_stack()
        if word == "host":
            return list(records.load(stack))
        if word == "run" and before:
            return [run.id for run in reversed(runs.of_host(stack, before[0]))]
        if word == "service":
            return sorted({service for host in records.load(stack).values() for service in host.services})
    except RigError:
        return []
    return []


def _flags(names: Iterable[str]) -> list[str]:
    return [f"-{name}" if len(name) == 1 else f"--{name}" for name in names]
