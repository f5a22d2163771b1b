"""The program `rig`: an Invoke program over the commands of gpurig.ops."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

from invoke.config import Config
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program

from gpurig.errors import RigError
from gpurig.ops import GROUPS, collection, doubts
from gpurig.ops.command import Command, help_wanted, spelled_out

COMMANDS: dict[str, Command] = {command.name: command for group in GROUPS.values() for command in group}

INTERRUPTED, WRONG_USE = 130, 2

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that ask for an end."""


class Rig(Program):
    """Invoke's program with our global options, grouped help, and commands that take bare words."""

    def core_args(self) -> list[Argument]:
        ours = [
            Argument(
                names=("stack",), help="The stack, for Pulumi.NAME.yaml. Else GPURIG_STACK, Pulumi's own, the last one."
            ),
            Argument(names=("json",), kind=bool, default=False, help="Print data as JSON."),
            Argument(names=("debug",), kind=bool, default=False, help="Show where in the program an error arose."),
        ]
        kept = {"help", "version", "complete", "print-completion-script", "list", "list-format", "list-depth"}
        return ours + [argument for argument in super().core_args() if argument.name in kept]

    def create_config(self) -> None:
        self.config = Config(lazy=True)

    def parse_core(self, argv: list[str] | None) -> None:
        self.normalize_argv(argv)
        if asked := help_wanted(self.argv[1:], COMMANDS):
            self.print_task_help(asked)
            raise Exit
        self.argv = [self.argv[0], *spelled_out(self.argv[1:], COMMANDS)]
        self.parse_core_args()
        if self.args.version.value:
            self.print_version()
            raise Exit
        if shell := self.args["print-completion-script"].value:
            from gpurig.ops import completion

            sys.stdout.write(completion.script(shell))
            raise Exit
        if self.args.complete.value:
            from gpurig.ops import completion

            words = self.argv[self.argv.index("--") + 2 :]  # also empty ones, which Invoke's remainder has lost
            sys.stdout.writelines(f"{word}\n" for word in completion.candidates(words, COMMANDS))
            raise Exit

    def update_config(self, merge: bool = True) -> None:
        given = {"stack": self.args.stack.value or "", "json": self.args.json.value}
        self.config.load_overrides({"gpurig": given}, merge=merge)

    def print_version(self) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"rig (gpurig) {version('gpurig')}\n")

    def print_help(self) -> None:
        from gpurig.ops import help_text

        sys.stdout.write(help_text.overview(GROUPS))

    def print_task_help(self, name: str) -> None:
        from gpurig.ops import help_text

        sys.stdout.write(help_text.of_command(COMMANDS[name]))

    def perform(self, argv: list[str]) -> None:
        """Parse and run one command. Raises what went wrong."""
        self.create_config()
        self.parse_core(argv)
        doubts.tell()
        self.parse_collection()
        self.parse_tasks()
        self.parse_cleanup()
        self.update_config()
        self.execute()


def main(argv: Sequence[str] | None = None) -> None:
    """Run `rig` and exit: 0 done, 1 failed, 2 wrong use or configuration, 3 verification found a FAIL."""
    for number in ENDING:
        signal.signal(number, _stop)
    words = ["rig", *(sys.argv[1:] if argv is None else argv)]
    try:
        code = _run(words)
    finally:  # all is closed, and Python would print an exception that arose while it ends
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
    sys.exit(code)


def _run(words: list[str]) -> int:
    program = Rig(namespace=collection(), name="rig", binary="rig", binary_names=["rig"])
    try:
        program.perform(words)
    except Exit as exit_:
        return _end(str(exit_.message or ""), exit_.code, exit_.__cause__, words)
    except RigError as error:
        return _end(str(error), error.exit_code, error, words)
    except ParseError as error:
        return _end(f"{error} `rig --help` lists the commands.", WRONG_USE, error, words)
    except KeyboardInterrupt:
        return _end("\nInterrupted.", INTERRUPTED, None, words)
    except BrokenPipeError:  # as in `rig logs demo | head`
        sys.stdout = None
        return 1
    return 0


def _end(message: str, code: int, cause: BaseException | None, words: list[str]) -> int:
    if cause and "--debug" in words:
        traceback.print_exception(cause)
    if message:
        sys.stderr.write(f"{message}\n")
    return code


def _stop(number: int, _frame: FrameType | None) -> None:
    """End as after an error, so that tunnels and other children are ended too. Being asked once more does not disturb that."""
    for ending in ENDING:
        signal.signal(ending, lambda *_: None)
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
