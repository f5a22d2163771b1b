"""`Pulumi.<stack>.yaml` read into typed, frozen objects; every mistake is reported at once.

Both engines come through `parse`: the embedded one with the file's text, the Pulumi program with what the engine
decrypted.
"""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    create_model,
)

from gpurig import catalogue, exposure, host_checks, providers, service_checks, stack_file
from gpurig.budget import Budget
from gpurig.errors import ConfigError
from gpurig.health import thresholds
from gpurig.mistakes import NAMESPACE, did_you_mean, explain
from gpurig.spec import HostSpec
from gpurig.stack import Stack

RESERVED = ("all", "gpurig", "localhost", "ungrouped")
"""Names that mean something else to Ansible."""


def _free_name(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"Ansible uses this name itself (so are: {', '.join(RESERVED)}); write another")
    return name


HostName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$"), AfterValidator(_free_name)]
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]


class StackConfig(BaseModel):
    """What a stack's file says under `gpurig:`.

    secrets: environment variable name → value, as providers' keys are called by their vendors; the environment wins.
    budget: what rentals may cost; None for no limit but each host's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: dict[HostName, HostSpec] = Field(default_factory=dict)
    secrets: dict[SecretName, str] = Field(default_factory=dict, repr=False)
    budget: Budget | None = None


def load(stack: Stack, *, pulumi_decrypts: bool = False) -> StackConfig:
    """Read the stack's file. Raises ConfigError that lists every mistake.

    pulumi_decrypts: leave out the secrets that Pulumi encrypted, because Pulumi's program will have them; without it,
    those are mistakes unless the environment has them.
    """
    raw = stack_file.read(stack.file)
    secrets = raw.get("secrets")
    if pulumi_decrypts and isinstance(secrets, dict):
        raw["secrets"] = {name: value for name, value in secrets.items() if not _encrypted(value)}
    return parse(raw, stack.file.name)


def parse(raw: Mapping[str, Any], source: str) -> StackConfig:
    """Check the namespace's keys. `source` is the file's name, for messages."""
    values, mistakes = _secrets(dict(raw), source)
    if "hosts" not in values:
        mistakes.append(f"{source}: {NAMESPACE}:hosts: missing; write it, or `{NAMESPACE}:hosts: {{}}` for none.")
    config: StackConfig | None = None
    try:
        config = model().model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        mistakes += [explain(problem, source, list(StackConfig.model_fields)) for problem in problems]
        mistakes += _cross_checks(_sound_part(values, {problem["loc"][1:2] for problem in problems}), source)
    else:
        mistakes += _cross_checks(config, source)
    if config is None or mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))
    return config


def _sound_part(values: Mapping[str, Any], broken: set[tuple[Any, ...]]) -> StackConfig:
    """The hosts that have no mistake of their own, so that those between hosts can be told at once as well."""
    hosts = values.get("hosts")
    sound = (
        {name: entry for name, entry in hosts.items() if (name,) not in broken} if isinstance(hosts, Mapping) else {}
    )
    return model().model_validate({"hosts": sound})


@functools.cache
def model() -> type[StackConfig]:
    """StackConfig with the host classes of every registered provider."""
    classes = [Annotated[_named(kind), Tag(tag)] for tag, kind in providers.spec_classes().items()]
    any_of_them = functools.reduce(operator.or_, classes)
    host = Annotated[any_of_them, Discriminator(_tag), BeforeValidator(_at_market)]  # type: ignore[valid-type]  # made at run time
    return create_model("StackConfig", __base__=StackConfig, hosts=(dict[HostName, host], Field(default_factory=dict)))


def _at_market(entry: Any) -> Any:
    """An entry with `providers` and no `provider` is one that any of those vendors may serve."""
    several = isinstance(entry, Mapping) and "providers" in entry and "provider" not in entry
    return {**entry, "provider": providers.MARKET} if several else entry


def _tag(entry: Any) -> str | None:
    """Which class an entry is of: its provider's name, with its `os` where the provider has several."""
    if not isinstance(entry, Mapping):
        return getattr(entry, "provider", None)
    name = entry.get("provider")
    with_os = f"{name} {entry.get('os')}"
    return with_os if with_os in providers.spec_classes() else None if name is None else str(name)


def _named(spec: type[HostSpec]) -> type[HostSpec]:
    """A provider's host class whose environments and services are checked against those that exist."""
    environment = Annotated[str, _one_of("environment", catalogue.environments())]
    service = Annotated[str, _one_of("service", catalogue.services())]
    return create_model(
        spec.__name__,
        __base__=spec,
        __module__=spec.__module__,
        __doc__=spec.__doc__,
        environments=(tuple[environment, ...], spec.model_fields["environments"]),
        services=(tuple[service, ...], spec.model_fields["services"]),
    )


def _one_of(kind: str, names: tuple[str, ...]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"no such {kind}{did_you_mean(value, names)}; there are: {', '.join(names)}")
        return value

    return AfterValidator(check)


def _secrets(values: dict[str, Any], source: str) -> tuple[dict[str, Any], list[str]]:
    """Replace encrypted values by those of the environment; note the ones that cannot be read."""
    mistakes = []
    secrets = values.get("secrets")
    if isinstance(secrets, Mapping):
        values["secrets"] = found = {}
        for name, value in secrets.items():
            if name in os.environ:
                found[name] = os.environ[name]
            elif _encrypted(value):
                mistakes.append(
                    f"{source}: {NAMESPACE}:secrets.{name}: Pulumi encrypted it, so the embedded engine cannot read it; "
                    f"set the environment variable {name}, or install Pulumi's CLI (`make setup`)."
                )
            else:
                found[name] = value
    for path, value in _leaves({key: value for key, value in values.items() if key != "secrets"}, ()):
        if _encrypted(value):
            mistakes.append(
                f"{source}: {NAMESPACE}:{'.'.join(path)}: encrypted values are read only under {NAMESPACE}:secrets; "
                "move it there, by the name of its environment variable."
            )
    return values, mistakes


def _cross_checks(config: StackConfig, source: str) -> list[str]:
    """What no single host's entry can tell."""
    mistakes = []
    claimed: dict[str, str] = {}
    for name, spec in config.hosts.items():
        mistakes += [
            f"{source}: {NAMESPACE}:hosts.{other}: {name} calls one of its machines so; write another name."
            for other in spec.names(name)
            if other != name and other in config.hosts
        ]
        for key, value in spec.claims().items():
            if value in claimed:
                mistakes.append(
                    f"{source}: {NAMESPACE}:hosts.{name}.{key}: {value} is already {claimed[value]}'s; write another."
                )
            claimed.setdefault(value, name)
        first = service_checks.first_port(spec)
        exposed = exposure.problems(spec.services, spec.expose, spec.variables, first_port=first)
        found = [*exposed, *host_checks.problems(spec)]
        mistakes += [f"{source}: {NAMESPACE}:hosts.{name}.{key}: {problem}." for key, problem in found]
        known = catalogue.role_variables()
        for variable in spec.variables:
            role = next((role for role in known if variable.startswith(f"{role}_")), None)
            if role and variable not in known[role]:
                mistakes.append(
                    f"{source}: {NAMESPACE}:hosts.{name}.variables.{variable}: role {role} has no such variable"
                    f"{did_you_mean(variable, known[role])}; see roles/{role}/README.md."
                )
        wrong = thresholds.mistakes(spec.variables)
        mistakes += [f"{source}: {NAMESPACE}:hosts.{name}.variables.{mistake}" for mistake in wrong]
    return mistakes


def _encrypted(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"secure"}


def _leaves(value: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and not _encrypted(value):
        return [leaf for key, item in value.items() for leaf in _leaves(item, (*path, str(key)))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in _leaves(item, (*path, str(index)))]
    return [(path, value)]
