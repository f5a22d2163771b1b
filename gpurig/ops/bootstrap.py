"""`rig bootstrap`: the script that lets gpurig into a Windows PC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpurig.errors import ConfigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context


@command(
    "host",
    help={
        "host": "A host with os windows-wsl2.",
        "output": "File to write instead of bootstrap-HOST.ps1 in this folder; `-` for stdout.",
    },
)
def bootstrap(c: Context, host: str, output: str = "") -> None:
    """Write the PowerShell script that a Windows PC's owner runs there once, as administrator, and say how.

    It turns on Windows' OpenSSH server for gpurig's key alone, from the addresses of `allow_from` alone, and prints the PC's
    host key for `rig register`. With -WhatIf it only shows what it would change; with -Undo it takes all of it back.
    """
    from gpurig import config, engine, keys
    from gpurig.providers.workstation.windows import WindowsSpec
    from gpurig.windows import bootstrap as script

    stack = stack_of(c)
    spec = engine.configured(stack, config.load(stack, pulumi_decrypts=True), host)
    if not isinstance(spec, WindowsSpec):
        raise ConfigError(
            f"{stack.file.name}: gpurig:hosts.{host}.os: no Windows PC; only windows-wsl2 is bootstrapped."
        )
    key = f"{stack.file.name}: gpurig:hosts.{host}.identity"
    private = Path(spec.identity).expanduser() if spec.identity else keys.login_key(stack.home)
    public = private.with_name(private.name + ".pub")
    if not public.is_file():
        raise ConfigError(f"{key}: {public} is not there; write it with `ssh-keygen -y -f {private} > {public}`.")
    text = script.render(
        host=host,
        user=spec.user,
        public_key=public.read_text(encoding="utf-8").strip(),
        allow_from=spec.allow_from,
        port=spec.port,
    )
    if output == "-":
        console.show(c, {"host": host, "script": text}, text.rstrip("\n"))
        return
    file = Path(output or f"bootstrap-{host}.ps1")
    try:
        file.write_text(text, encoding="ascii", newline="\r\n")
    except OSError as error:
        raise ConfigError(f"--output {file}: cannot be written ({error.strerror}).") from error
    line = f"powershell -ExecutionPolicy Bypass -File .\\{file.name}"
    console.show(
        c,
        {"host": host, "file": str(file), "command": line},
        f"{file} is written; it holds no secret. Bring it to the PC, open a PowerShell of an administrator in its folder there, and run\n"
        f"  {line}\n"
        f"-WhatIf shows first what it would change. Its last line is for here: rig register {host} --fingerprint SHA256:…",
    )
