"""What a command is: an Invoke task that also takes bare words, such as `rig down demo`."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from gpurig.errors import ConfigError, RigError

Remains = Literal["words", "after --", "everything"]

GLOBAL_FLAGS = ("--json", "--debug", "--help", "-h", "--version")
GLOBAL_OPTIONS = ("--stack",)


class Command(Task):  # type: ignore[type-arg]  # Invoke's Task is generic over its function only for type checkers
    """An Invoke task and how its words are read.

    words: parameters that bare words fill, in this order; those with a default may be left out.
    rest: parameter that takes what remains, as one shell-quoted string.
    remains: what that is: further bare words; all that follows `--`; or everything after the last word, options too.
    short: parameter → its one-letter option. Invoke would give every parameter one, and take `-h` from help.
    """

    words: tuple[str, ...]
    rest: str | None
    remains: Remains
    short: Mapping[str, str]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it. A problem that the user can solve ends `rig` and `fab` with its message and its exit code."""
        try:
            return super().__call__(*args, **kwargs)
        except RigError as error:
            raise Exit(str(error), code=error.exit_code) from error

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Invoke's view of the parameters. May be called more than once, unlike Invoke's, which uses up the help."""
        texts = dict(self.help)
        arguments = super().get_arguments(ignore_unknown_help)
        self.help = texts
        for argument in arguments:
            if letter := self.short.get(argument.names[0]):
                argument.names = (*argument.names, letter)
        return arguments

    def usage(self) -> str:
        """The words as shown in help, such as `HOST [RUN]`."""
        parameters = inspect.signature(self.body).parameters
        shown = [
            word.upper() if parameters[word].default is inspect.Parameter.empty else f"[{word.upper()}]"
            for word in self.words
        ]
        if self.rest:
            shown.append(f"[-- {self.rest.upper()} …]" if self.remains == "after --" else f"[{self.rest.upper()} …]")
        return " ".join(shown)


def command(
    *words: str,
    rest: str | None = None,
    remains: Remains = "words",
    short: Mapping[str, str] | None = None,
    help: Mapping[str, str] | None = None,  # noqa: A002 (Invoke's own name for it)
    repeated: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command; its docstring is the help.

    repeated: parameters that are lists, given more than once. optional: those whose value may be left out, and so is
    given with `=` only, since the next word may be a host; they are True then.
    """

    def made(body: Callable[..., Any]) -> Command:
        name = body.__name__.rstrip("_").replace("_", "-")
        lists, free = list(repeated), list(optional)
        task = Command(body, name=name, help=dict(help or {}), auto_shortflags=False, iterable=lists, optional=free)
        task.words, task.rest, task.remains, task.short = words, rest, remains, short or {}
        return task

    return made


def help_wanted(argv: Sequence[str], commands: Mapping[str, Command]) -> str | None:
    """The command whose help is asked for, as in `rig train --help`; words after a script's name are the script's."""
    start = _command_at(argv)
    if start is None or argv[start] not in commands:
        return None
    task = commands[argv[start]]
    own = argv[start + 1 :]
    if task.remains == "everything":
        words = [index for index, word in enumerate(own) if not word.startswith("-")]
        own = own[: words[len(task.words) - 1]] if len(words) >= len(task.words) else own
    own = own[: own.index("--")] if "--" in own else own
    return task.name if {"--help", "-h"} & set(own) else None


def spelled_out(argv: Sequence[str], commands: Mapping[str, Command]) -> list[str]:
    """`argv` with every bare word written as the flag that it stands for, which is what Invoke's parser understands.

    `["down", "demo"]` becomes `["down", "--host=demo"]`. Raises ConfigError for words that are missing or too many.
    """
    start = _command_at(argv)
    if start is None or argv[start] not in commands:
        return list(argv)
    task = commands[argv[start]]
    takes_value = {
        flag: argument.takes_value and not argument.optional
        for argument in task.get_arguments()
        for flag in _flags(argument.names)
    }
    takes_value |= dict.fromkeys(GLOBAL_OPTIONS, True)
    front, spelled, found, rest = list(argv[:start]), list[str](), list[str](), list[str]()
    words = list(argv[start + 1 :])
    while words:
        word = words.pop(0)
        full = len(found) == len(task.words)
        if word == "--" or (full and task.remains == "everything"):
            rest += words if word == "--" else [word, *words]
            break
        if word.startswith("-") and word != "-":
            # Ours go in front of the command, where Invoke cannot take them for one of its words.
            target = front if word.partition("=")[0] in (*GLOBAL_FLAGS, *GLOBAL_OPTIONS) else spelled
            target.append(word)
            if takes_value.get(word) and words:
                target.append(words.pop(0))
        elif full and task.rest and task.remains == "words":
            rest.append(word)
        else:
            found.append(word)
    spelled = [*front, argv[start], *_words(task, found, spelled), *spelled]
    if rest and not task.rest:
        raise ConfigError(f"rig {task.name}: takes nothing after `--`. Usage: rig {task.name} {task.usage()}")
    # A blank in front, so that a first word such as --epochs is not taken for a flag of our own.
    return [*spelled, f"--{task.rest}= {shlex.join(rest)}"] if rest else spelled


def _words(task: Command, found: list[str], spelled: list[str]) -> list[str]:
    usage = f"Usage: rig {task.name} {task.usage()}".rstrip()
    if len(found) > len(task.words):
        raise ConfigError(f"rig {task.name}: {found[len(task.words)]!r} is one word too many. {usage}")
    parameters = inspect.signature(task.body).parameters
    for word in task.words[len(found) :]:
        given = any(flag.split("=")[0] == f"--{word}" for flag in spelled)
        if parameters[word].default is inspect.Parameter.empty and not given:
            raise ConfigError(f"rig {task.name}: {word.upper()} is missing. {usage}")
    return [f"--{word}={value}" for word, value in zip(task.words, found, strict=False)]


def _command_at(argv: Sequence[str]) -> int | None:
    """Where the command's name is: the first word that is no global option or its value."""
    index = 0
    while index < len(argv):
        if argv[index] in GLOBAL_OPTIONS:
            index += 2
        elif argv[index].startswith("-"):
            index += 1
        else:
            return index
    return None


def _flags(names: Sequence[str]) -> list[str]:
    return [f"-{name}" if len(name) == 1 else f"--{name}" for name in names]
