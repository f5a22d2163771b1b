"""The Pulumi program: every configured host as a resource, and their records as the stack's output `hosts`."""

import pulumi

from gpurig import program

settings = program.configuration()
hosts = {name: program.host(name, spec) for name, spec in settings.hosts.items()}
pulumi.export("hosts", {name: resource.host for name, resource in hosts.items()})
