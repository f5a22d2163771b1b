"""Problems that the user can solve; everything else is a bug and keeps its traceback."""

from __future__ import annotations


class RigError(Exception):
    """A problem with one clear message that says what is wrong and what to do about it."""

    exit_code = 1


class ConfigError(RigError):
    """Wrong use or wrong configuration: nothing was changed."""

    exit_code = 2


class ResultsAtRiskError(RigError):
    """A host holds results that were not brought back and verified, so it may not be destroyed."""


class VerificationError(RigError):
    """A verification ran to its end and found at least one FAIL."""

    exit_code = 3


def about(host: str, message: str) -> str:
    """A host's failure, with its name in front unless the message names it."""
    named = f"{host}:" in message or f"gpurig:hosts.{host}." in message
    return message if named else f"{host}: {message}"
