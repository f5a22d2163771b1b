"""The program `rig`: an Invoke program over the commands of gpurig.ops."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from invoke.config import Config
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program

from gpurig.errors import RigError
from gpurig.ops import GROUPS, collection
from gpurig.ops.command import Command, spelled_out

COMMANDS: dict[str, Command] = {command.name: command for group in GROUPS.values() for command in group}


class Rig(Program):
    """Invoke's program with our global options, grouped help, and bare words."""

    def core_args(self) -> list[Argument]:
        ours = [
            Argument(names=("stack",), help="The stack, for Pulumi.STACK.yaml; else GPURIG_STACK, Pulumi's, the last."),
            Argument(names=("json",), kind=bool, default=False, help="Print data as JSON."),
        ]
        kept = {"debug", "help", "version", "complete", "print-completion-script", "list", "list-format", "list-depth"}
        return ours + [argument for argument in super().core_args() if argument.name in kept]

    def parse_core(self, argv: list[str] | None) -> None:
        self.normalize_argv(argv)
        self.argv = [self.argv[0], *spelled_out(self.argv[1:], COMMANDS)]
        self.parse_core_args()
        if self.args.version.value:
            self.print_version()
            raise Exit

    def create_config(self) -> None:
        self.config = Config(lazy=True)

    def update_config(self, merge: bool = True) -> None:
        given = {"stack": self.args.stack.value or "", "json": self.args.json.value}
        self.config.load_overrides({"gpurig": given}, merge=merge)

    def print_version(self) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"rig (gpurig) {version('gpurig')}\n")

    def perform(self, argv: list[str]) -> None:
        """Parse and run one command. Raises what went wrong."""
        self.create_config()
        self.parse_core(argv)
        self.parse_collection()
        self.parse_tasks()
        self.parse_cleanup()
        self.update_config()
        self.execute()


def main(argv: Sequence[str] | None = None) -> None:
    """Run `rig` and exit: 0 done, 1 failed, 2 wrong use or configuration, 3 verification found a FAIL."""
    words = ["rig", *(sys.argv[1:] if argv is None else argv)]
    sys.exit(_run(words))


def _run(words: list[str]) -> int:
    program = Rig(namespace=collection(), name="rig", binary="rig", binary_names=["rig"])
    try:
        program.perform(words)
    except (RigError, ParseError) as error:
        if "--debug" in words:
            traceback.print_exc()
        sys.stderr.write(f"{error}\n")
        return error.exit_code if isinstance(error, RigError) else 2
    except Exit as exit_:
        if "--debug" in words and exit_.__cause__:
            traceback.print_exception(exit_.__cause__)
        if exit_.message:
            sys.stderr.write(f"{exit_.message}\n")
        return exit_.code
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return 130
    return 0


if __name__ == "__main__":
    main()
