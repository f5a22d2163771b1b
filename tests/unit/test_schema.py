"""The JSON Schema for editors says what the configuration classes say."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from gpurig import catalogue, schema


@pytest.fixture(scope="module")
def check() -> jsonschema.Draft202012Validator:
    document = schema.stack_file()
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def stack(**hosts: Any) -> dict[str, Any]:
    return {"config": {"gpurig:hosts": hosts}}


def test_the_schema_in_the_repository_is_current() -> None:
    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), "run `make schema`"


@pytest.mark.parametrize("name", ["demo", "example"])
def test_the_stacks_in_the_repository_fit(check: jsonschema.Draft202012Validator, name: str) -> None:
    document = yaml.safe_load((catalogue.ROOT / f"Pulumi.{name}.yaml").read_text(encoding="utf-8"))
    assert list(check.iter_errors(document)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        stack(a={"provider": "contaner"}),
        stack(a={"provider": "container", "cpu": 1}),
        stack(a={"provider": "container", "services": ["jupiter"]}),
        stack(A={"provider": "container"}),
        {"config": {"gpurig:host": {}}},
        {"config": {"gpurig:secrets": {"lower": "x"}}},
    ],
)
def test_what_the_configuration_refuses_the_schema_refuses(
    check: jsonschema.Draft202012Validator, wrong: dict[str, Any]
) -> None:
    assert not check.is_valid(wrong)


def test_an_encrypted_secret_fits(check: jsonschema.Draft202012Validator) -> None:
    assert check.is_valid({"config": {"gpurig:secrets": {"VAST_API_KEY": {"secure": "v1:x"}}, "aws:region": "x"}})
