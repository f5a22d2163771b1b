"""The shipped environments of PyTorch on a real host without a GPU: installed, unchanged, and able to do what they are for.

nanochat is not among them: its repository and the index of its PyTorch are not reached from everywhere; see test_nanochat.py.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpurig import config, lifecycle
from gpurig.health import gather, numbers
from gpurig.health.finding import Finding, Wanted
from gpurig.stack import Stack
from gpurig.verdict import Result
from tests.e2e.configured import Configured
from tests.e2e.conftest import remove_containers

LIGHT = ("pytorch", "tirex")
FULL = (*LIGHT, "recbole", "pagating")
"""Two more environments, and one more PyTorch, where tests with the marker `full` are among those that run."""

FOLDER = "/opt/gpurig/environments"
HF_HOME = "/home/dev/gpurig/data/huggingface"

STACK = """\
config:
  gpurig:hosts:
    ml: {{provider: container, environments: [{names}]}}
"""

# Installing downloads some 5 GB, and a training takes its time on a processor that others use as well.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def names(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The environments that the tests of this run need."""
    here = [item for item in request.session.items if item.path == request.path]
    return FULL if any(item.get_closest_marker("full") for item in here) else LIGHT


@pytest.fixture(scope="module")
def host(names: tuple[str, ...], e2e_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Configured]:
    """A container with all of them, in a stack of its own; it goes with this module, since it is large."""
    root = tmp_path_factory.mktemp("ml")
    project = f"e2e-{secrets.token_hex(4)}"
    (root / "Pulumi.yaml").write_text(f"name: {project}\nruntime: python\n")
    (root / "Pulumi.test.yaml").write_text(STACK.format(names=", ".join(names)))
    stack = Stack(project=project, name="test", root=root, home=e2e_home)
    try:
        wanted = config.load(stack).hosts["ml"]
        made = Configured(stack, lifecycle.ensure(stack, "ml", wanted, report=print))
        done = made.playbook("site.yml")
        assert done.returncode == 0, done.stdout + done.stderr
        yield made
    finally:
        remove_containers(project, e2e_home)


@pytest.fixture(scope="module")
def verified(host: Configured) -> dict[str, Result]:
    """What verification says of the environments, their smoke tests included."""
    return {result.name: result for result in host.check("environments")}


def user(host: Configured, name: str, command: str) -> str:
    """Run a shell command in an environment's folder as the login user, with the environment's variables."""
    text = f"cd {FOLDER}/{name} && set -a && . ./variables.env && set +a && {command}"
    return host.root(f"runuser -u {host.host.endpoint.user} -- sh -c '{text}' 2>&1")


def test_verification_finds_nothing_wrong(verified: dict[str, Result], names: tuple[str, ...]) -> None:
    assert {name: f"{found.value} {found.reason}" for name, found in verified.items() if found.verdict == "FAIL"} == {}
    assert {f"{name}: {what}" for name in names for what in ("packages", "files", "smoke test")} <= set(verified)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pytorch", r"shapes, .*accuracy 0\.9"),
        pytest.param("recbole", r"SASRec, .*recall_at_10 0\.\d+", marks=pytest.mark.full),
        ("tirex", r"forecast, .*rows 192"),
        pytest.param("pagating", r"language model .*resumed_loss \d", marks=pytest.mark.full),
    ],
)
def test_a_smoke_test_says_with_a_figure_what_it_did(verified: dict[str, Result], name: str, said: str) -> None:
    found = verified[f"{name}: smoke test"]
    assert (found.verdict, bool(re.search(said, found.value))) == ("PASS", True), found.value


def test_a_second_run_changes_nothing(host: Configured) -> None:
    done = host.playbook("site.yml")
    assert re.search(r"changed=0 .*failed=0", done.stdout), done.stdout


def test_each_is_a_kernel_with_its_own_variables(host: Configured, names: tuple[str, ...]) -> None:
    kernels = {
        name: json.loads(host.root(f"cat /usr/local/share/jupyter/kernels/gpurig-{name}/kernel.json")) for name in names
    }
    assert {name: kernel["argv"][0] for name, kernel in kernels.items()} == {
        name: f"{FOLDER}/{name}/.venv/bin/python" for name in names
    }
    variables = {"recbole": {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}, "tirex": {"HF_HOME": HF_HOME}}
    assert {name: kernel.get("env", {}) for name, kernel in kernels.items()} == {
        name: variables.get(name, {}) for name in names
    }


def judged(host: Configured, *options: str) -> list[Finding]:
    """PyTorch's results on the processor, judged as a GPU's are."""
    python = f"{FOLDER}/pytorch/.venv/bin/python"
    words = ("--device=cpu", "--what=numbers", *options)
    found: dict[str, Any] = json.loads(host.root(gather.command("torch_check", *words, python=python, seconds=280)))
    assert found["numbers"]["devices"], found
    return list(numbers.judge(found, Wanted(platform="container")))


def test_pytorch_computes_right_on_the_processor(host: Configured) -> None:
    findings = judged(host)
    assert {found.name for found in findings if found.verdict == "FAIL"} == set(), findings
    assert [found for found in findings if found.verdict == "PASS"]


def test_one_wrong_element_is_found(host: Configured) -> None:
    assert [found for found in judged(host, "--flip") if found.verdict == "FAIL"]


@pytest.mark.full
def test_recbole_says_which_variable_it_lacks(host: Configured) -> None:
    said = user(host, "recbole", "unset TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD; .venv/bin/python smoke.py || true")
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is not 1" in said


def test_tirex_says_offline_how_to_get_its_weights(host: Configured) -> None:
    said = user(host, "tirex", "! HF_HUB_OFFLINE=1 .venv/bin/python forecast.py --fetch")
    assert "the weights of NX-AI/TiRex are not in" in said
    assert "gpurig/data/huggingface" in said
    assert "run `forecast.py --fetch` once" in said


API = """
import os, tempfile
from pathlib import Path
import smoke
file = Path(tempfile.mkdtemp()) / "model.ckpt"
smoke.save(file)
os.environ["API_MODEL"] = str(file)
import service
asked = [service.Request(values=[1, 2, None, 4], steps=3), service.Request(values=list(range(300)), steps=70)]
print([len(said.quantiles["q50"]) for said in service.load().predict(asked)])
"""


def test_tirex_answers_requests_of_different_lengths_in_one_batch(host: Configured) -> None:
    host.root(f"cat > /tmp/api.py <<'END'\n{API}\nEND")
    assert user(host, "tirex", "PYTHONPATH=. .venv/bin/python /tmp/api.py").endswith("[3, 70]\n")


@pytest.mark.full
def test_training_that_is_told_to_end_goes_on_as_if_it_had_not(host: Configured) -> None:
    small = "--steps=120 --layers=1 --width=64 --length=64 --batch=8 --vocabulary=512 --save-every=1000"
    train = f"OMP_NUM_THREADS=1 .venv/bin/python train.py {small} --results=/tmp/sweep"
    user(host, "pagating", f"{train}-whole > /tmp/whole.log 2>&1")
    cut_off = (
        f"{train}-cut --resume > /tmp/cut.log 2>&1 & until grep -q step /tmp/cut.log; do sleep 0.2; done; "
        "kill -TERM $!; wait $! || echo $? > /tmp/cut.code"
    )
    user(host, "pagating", cut_off)
    first = json.loads(host.root("cat /tmp/sweep-cut/metrics.json"))
    assert (first["state"], host.root("cat /tmp/cut.code").strip()) == ("stopped", "143")
    assert 20 <= first["step"] < 120
    user(host, "pagating", f"{train}-cut --resume")
    cut, whole = (json.loads(host.root(f"cat /tmp/sweep-{name}/metrics.json")) for name in ("cut", "whole"))
    assert (cut["state"], cut["step"]) == ("done", 120)
    assert cut["loss"] == pytest.approx(whole["loss"], rel=1e-3)
