"""Configuration: what is accepted, and what is said about each mistake."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from gpurig import catalogue, config, stack_file
from gpurig.errors import ConfigError
from gpurig.stack import Stack


def load(stack: Stack, text: str) -> config.StackConfig:
    stack.file.write_text(textwrap.dedent(text))
    return config.load(stack)


def mistakes(stack: Stack, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(stack, text)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()


def host(keys: str) -> str:
    return f"config:\n  gpurig:hosts:\n    a: {{{keys}}}\n"


def test_defaults_are_filled_in(stack: Stack) -> None:
    spec = load(stack, host("provider: container")).hosts["a"]
    assert spec.normalised()["init"] == "systemd"
    assert spec.normalised()["ca_bundle"] == "auto"


def test_configuration_is_frozen(stack: Stack) -> None:
    spec = load(stack, host("provider: container")).hosts["a"]
    with pytest.raises(ValueError, match="frozen"):
        spec.provider = "workstation"


def test_other_packages_and_pulumis_own_keys_pass(stack: Stack) -> None:
    text = "encryptionsalt: v1:x\nconfig:\n  aws:region: eu-west-1\n  gpurig:hosts: {}\n"
    assert load(stack, text).hosts == {}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("provider: contaner", "hosts.a.provider: 'contaner' is not known (did you mean 'container'?); allowed"),
        ("cpus: 2", "hosts.a.provider: missing; write one of: aws, container, "),
        ("provider: container, cpu: 2", "hosts.a.cpu: unknown key (did you mean 'cpus'?); allowed"),
        ("provider: container, cpus: -1", "hosts.a.cpus: found -1: input should be greater than 0."),
        ("provider: container, memory: lots", "hosts.a.memory: found 'lots': input should be a valid number"),
        ("provider: container, init: runit", "hosts.a.init: found 'runit': input should be 'systemd' or 'none'."),
        ("provider: container, port: 70000", "hosts.a.port: found 70000: input should be less than or equal to 65535."),
        ("provider: container, environments: [startr]", "no such environment (did you mean 'starter'?)"),
        ("provider: container, services: [jupiter]", "no such service (did you mean 'jupyter'?)"),
        ("provider: container, services: jupyter", "hosts.a.services: found 'jupyter': input should be a list"),
        (
            "provider: container, variables: {base_timezone: x}",
            "(did you mean 'base_time_zone'?); see roles/base/README.md",
        ),
        ("provider: container, listeners: [9100]", "hosts.a.listeners.0: found 9100"),
        ("provider: container, listeners: [localhost]", "hosts.a.listeners.0: found 'localhost'"),
        ("provider: container, ca_bundle: /nope", "hosts.a.ca_bundle: found '/nope': there is no such file."),
        ("provider: container, variables: {bad-name: 1}", "hosts.a.variables.bad-name"),
        ("provider: workstation, user: me", "hosts.a.address: missing; write it."),
        (
            "provider: workstation, user: me, address: h, host_key: SHA256:short",
            "hosts.a.host_key: found 'SHA256:short'",
        ),
    ],
)
def test_a_mistake_names_file_key_and_what_is_allowed(stack: Stack, keys: str, expected: str) -> None:
    (line,) = mistakes(stack, host(keys))
    assert line.startswith("Pulumi.test.yaml: gpurig:hosts.a")
    assert expected in line


RENTED = "gpu: RTX 4090, max_price: 1"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (f"provider: vastai, {RENTED}, reliability: 95", "a.reliability: found 95: a share from 0 to 1; write 0.95."),
        (f"provider: vastai, {RENTED}, reliability: -1", "a.reliability: found -1: input should be greater than or"),
        (f"providers: [], {RENTED}", "a.providers: found []: it is empty; name at least one."),
        (f"providers: [vastai, runpod, vastai], {RENTED}", "vastai is there twice; name each vendor once"),
    ],
)
def test_a_mistake_in_a_wish_says_what_to_write(stack: Stack, keys: str, expected: str) -> None:
    (line,) = mistakes(stack, host(keys))
    assert line.startswith("Pulumi.test.yaml: gpurig:hosts.a.")
    assert expected in line


@pytest.mark.parametrize(("gpu", "what"), [("nam: H100", "unknown key 'nam'"), ("count: 2", "`name` is missing")])
def test_a_mistake_inside_gpu_hides_no_other(stack: Stack, gpu: str, what: str) -> None:
    found = mistakes(stack, host(f"provider: vastai, gpu: {{{gpu}}}, max_price: -1, disc: 9"))
    assert [line.split(": ")[1] for line in found] == [f"gpurig:hosts.a.{key}" for key in ("gpu", "max_price", "disc")]
    assert f"{what}; write {{name: RTX 4090, count: 1}}" in found[0]


def test_an_unknown_key_of_the_budget_names_the_budgets_own(stack: Stack) -> None:
    (line,) = mistakes(stack, "config:\n  gpurig:hosts: {}\n  gpurig:budget: {week: 9}\n")
    assert line == "Pulumi.test.yaml: gpurig:budget.week: unknown key; allowed here: day, total."


def test_all_mistakes_are_reported_at_once(stack: Stack) -> None:
    text = """
        config:
          gpurig:hosts:
            One: {provider: container}
            two: {provider: container, cpu: 3, init: x}
            three: {}
          gpurig:host: {}
    """
    found = "\n".join(mistakes(stack, text))
    for key in (
        "hosts.One: not a good name",
        "hosts.two.cpu",
        "hosts.two.init",
        "hosts.three.provider",
        "gpurig:host:",
    ):
        assert key in found


def test_a_name_that_yaml_takes_for_something_else_must_be_quoted(stack: Stack) -> None:
    lines = mistakes(stack, "config:\n  gpurig:hosts:\n    no: {provider: container}\n")
    assert "Pulumi.test.yaml: gpurig:hosts: YAML reads a name as False; write it in quotes." in lines


def test_two_containers_cannot_have_one_port(stack: Stack) -> None:
    text = """
        config:
          gpurig:hosts:
            a: {provider: container, port: 2222}
            b: {provider: container, port: 2222}
    """
    (line,) = mistakes(stack, text)
    assert line == "Pulumi.test.yaml: gpurig:hosts.b.port: 127.0.0.1:2222 is already a's; write another."


def test_mistakes_between_hosts_are_told_together_with_those_of_one(stack: Stack) -> None:
    text = """
        config:
          gpurig:hosts:
            a: {provider: container, port: 2222}
            b: {provider: container, port: 2222, variables: {base_timezone: x}}
            c: {provider: container, cpus: none}
    """
    assert len(mistakes(stack, text)) == 3


def test_what_is_not_utf_8_is_refused(stack: Stack) -> None:
    stack.file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        config.load(stack)


def test_the_users_own_variables_pass(stack: Stack) -> None:
    assert load(stack, host("provider: container, variables: {mine: 1}")).hosts["a"].variables == {"mine": 1}


def test_an_encrypted_value_names_the_variable_to_set(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "config:\n  gpurig:hosts: {}\n  gpurig:secrets:\n    VAST_API_KEY: {secure: v1:abc}\n"
    monkeypatch.delenv("VAST_API_KEY", raising=False)
    (line,) = mistakes(stack, text)
    assert "gpurig:secrets.VAST_API_KEY: Pulumi encrypted it" in line
    assert "set the environment variable VAST_API_KEY" in line
    monkeypatch.setenv("VAST_API_KEY", "from-outside")
    assert load(stack, text).secrets == {"VAST_API_KEY": "from-outside"}


def test_a_secret_never_shows_in_a_message_or_repr(stack: Stack) -> None:
    assert "hunter2" not in repr(
        load(stack, "config:\n  gpurig:hosts: {}\n  gpurig:secrets: {VAST_API_KEY: hunter2}\n")
    )
    found = mistakes(stack, "config:\n  gpurig:hosts: {}\n  gpurig:secrets: {vast-key: hunter2}\n")
    assert "hunter2" not in "".join(found)


def test_an_encrypted_value_elsewhere_is_refused(stack: Stack) -> None:
    lines = mistakes(stack, "config:\n  gpurig:hosts:\n    a: {provider: container, image: {secure: v1:x}}\n")
    assert "gpurig:hosts.a.image: encrypted values are read only under gpurig:secrets" in lines[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config: [\n", "not valid YAML"),
        ("config:\n  gpurig:hosts:\n    a: {}\n    a: {}\n", "key 'a' is there twice"),
        ("hosts: {}\n", "key `config`: missing"),
        ("", "key `config`: missing"),
        ("config: {}\n", "gpurig:hosts: missing; write it, or `gpurig:hosts: {}` for none."),
        ("config:\n  gpurg:hosts: {}\n", "gpurg:hosts: unknown key (did you mean 'gpurig:hosts'?)"),
        (
            "config: {gpurig:hosts: {}}\nencryptionsal: x\n",
            "encryptionsal: unknown key (did you mean 'encryptionsalt'?)",
        ),
        ("config: {gpurig:hosts: {all: {provider: container}}}\n", "hosts.all: Ansible uses this name itself"),
        ("- config\n", "key `config`: missing"),
        ("config: {gpurig:hosts: []}\n", "gpurig:hosts: found []: input should be a valid dictionary"),
    ],
)
def test_what_is_no_stack_file_is_refused(stack: Stack, text: str, expected: str) -> None:
    found = "\n".join(mistakes(stack, text))
    assert found.startswith("Pulumi.test.yaml: ")
    assert expected in found


def test_a_missing_file_says_what_to_copy(stack: Stack) -> None:
    with pytest.raises(ConfigError, match=r"Copy Pulumi\.example\.yaml"):
        config.load(stack)


@pytest.mark.parametrize("name", ["demo", "example"])
def test_the_stacks_in_the_repository_are_valid(stack: Stack, name: str) -> None:
    file = Path(catalogue.ROOT) / f"Pulumi.{name}.yaml"
    assert config.parse(stack_file.read(file), file.name).hosts
