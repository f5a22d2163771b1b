"""Readings as they are really taken, here: with a simulated nvidia-smi, journalctl and dmesg on the PATH."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpurig import catalogue
from gpurig.health import gather, layers, recording
from gpurig.health.gather import Place
from gpurig.health.probes import script
from gpurig.host import Capabilities, Endpoint, Host
from tests.unit.test_health_fixtures import recorded

KNOWN = 'List of valid properties to query for the switch "--query-gpu":\n\n"index"\nZero based.\n\n"name" or "gpu_name"\n\n"clocks_throttle_reasons.active"\n\n"pstate"\n\n"power.draw"\n'

SMI = """#!/bin/sh
case "$*" in
-L) echo 'GPU 0: NVIDIA L4 (UUID: GPU-1)' ;;
--help-query-gpu) cat {folder}/known ;;
--query-gpu=*)
    fields=${{1#--query-gpu=}}
    case "$fields" in *power.draw*) echo 'Field "power.draw" is not a valid field to query.' >&2; exit 2 ;; esac
    echo "$fields" ;;
nvlink*) echo 'Device does not have or support Nvlink' ;;
*) echo "topology" ;;
esac
"""

JOURNAL = """#!/bin/sh
echo '[    0.000000] pc kernel: Linux version 6.8'
echo '[    5.120000] pc kernel: NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.95.05'
echo '[   77.000000] pc kernel: usb 1-1: new device of alice'
"""

Take = Callable[..., dict[str, Any]]


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], None]:
    """Puts a program on the PATH of the probe."""
    (tmp_path / "known").write_text(KNOWN)

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.write_text(text.format(folder=shlex.quote(str(tmp_path))) if "{folder}" in text else text)
        path.chmod(0o755)

    write("nvidia-smi", SMI)
    write("journalctl", JOURNAL)
    return write


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """What the probe of the machine says."""

    def run(sections: str = "smi,kernel_log", text: str = "") -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-I", "-", sections],
            input=text or script("machine"),
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


class TestProbe:
    def test_only_fields_that_this_nvidia_smi_knows_are_asked_for(self, program: Any, take: Take) -> None:
        """By the names that it knows; one that it lists and then refuses is left out."""
        smi = take()["smi"]
        assert smi["fields"] == ["index", "name", "pstate", "clocks_throttle_reasons.active"]
        assert smi["query"]["out"].strip() == ",".join(smi["fields"])
        assert smi["nvlink"]["out"].startswith("Device does not have")

    def test_without_a_list_of_fields_those_are_asked_for_that_all_know(
        self, program: Any, take: Take, tmp_path: Path
    ) -> None:
        (tmp_path / "known").write_text("")
        assert take()["smi"]["fields"][:3] == ["index", "name", "pci.bus_id"]

    def test_a_hanging_nvidia_smi_is_given_up_and_not_asked_again(self, program: Any, take: Take) -> None:
        program("nvidia-smi", "#!/bin/sh\nexec sleep 60\n")
        begin = time.monotonic()
        smi = take(text=script("machine").replace("SECONDS = 30.0", "SECONDS = 0.3"))["smi"]
        assert time.monotonic() - begin < 40
        assert smi["list"]["code"] is None
        assert "no answer within 0.3 s" in smi["list"]["err"]
        assert "not asked" in smi["query"]["err"]

    def test_of_the_log_only_what_is_about_the_machine_and_without_its_name(self, program: Any, take: Take) -> None:
        log = take()["kernel_log"]
        assert (log["how"], log["lines"], log["code"]) == ("journalctl", 3, 0)
        assert log["out"] == "[    5.120000] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.95.05"

    def test_where_the_journal_has_nothing_dmesg_is_asked(self, program: Any, take: Take) -> None:
        program("journalctl", "#!/bin/sh\nexit 0\n")
        program("dmesg", "#!/bin/sh\necho '[    9.1] NVRM: GPU at 0'\n")
        assert take()["kernel_log"]["how"] == "dmesg"
        program("dmesg", "#!/bin/sh\necho 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1\n")
        log = take()["kernel_log"]
        assert (log["code"], log["lines"]) == (1, 0)
        assert "not permitted" in log["err"]

    def test_limits_are_those_of_this_machine(self, take: Take) -> None:
        limits = take("limits")["limits"]
        about = os.statvfs("/dev/shm")  # noqa: S108 (it is asked for, not written to)
        assert limits["shm"] == about.f_blocks * about.f_frsize
        assert limits["nofile"]["hard"] == "unlimited" or limits["nofile"]["hard"] > 0


def place(*, gpu: bool = True, answers: dict[str, tuple[int, str, str]] | None = None, **more: Any) -> Place:
    """Runs commands here, but for those that contain a key of `answers`."""

    def run(command: str) -> tuple[int, str, str]:
        for part, answer in (answers or {}).items():
            if part in command:
                return answer
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return Place(run, lambda command: command, gpu=gpu, **more)


class TestGather:
    def test_a_host_without_gpu_is_asked_for_its_limits_only(self) -> None:
        found = gather.quick(place(gpu=False))
        assert found["smi"] == {"skipped": layers.NO_GPU}
        assert "nodes" in found["devices"]
        assert found["limits"]["shm"]
        assert found["numbers"] == {"skipped": gather.LEFT_OUT}

    def test_a_probe_that_fails_is_a_failure_of_the_gpu_s_host(self) -> None:
        found = gather.quick(place(answers={"python3": (127, "", "sh: python3: not found")}))
        host = _host()
        judged = layers.judge(found, gather.wanted_of(host, host.capabilities, found))
        assert layers.failed(judged) == "driver"
        assert "python3: not found" in judged["driver"][0].value

    @pytest.mark.parametrize("environments", [(), ("mlflow",)])
    def test_without_pytorch_what_needs_it_is_skipped(self, environments: tuple[str, ...]) -> None:
        found = gather.full(place(gpu=False, environments=environments), {})
        assert [found[name] for name in layers.SLOW] == 3 * [{"skipped": gather.WITHOUT_TORCH}]

    @pytest.mark.parametrize("environments", [(), ("mlflow",)])
    def test_a_gpu_s_host_without_pytorch_is_a_warning(self, environments: tuple[str, ...]) -> None:
        whole = gather.full(place(environments=environments), recorded("rtx_3090"))
        host = _host()
        judged = layers.judge(whole, gather.wanted_of(host, host.capabilities, whole))
        assert {one.name: one.verdict for one in judged["numbers"]} == {
            "PyTorch: build": "SKIP",
            "PyTorch: results and speed": "WARN",
        }

    def test_what_quick_leaves_out_is_no_warning(self) -> None:
        found = gather.quick(place(answers={"python3": (0, '{"machine": {}}', "")}))
        assert [found[name] for name in layers.SLOW] == 3 * [{"skipped": gather.LEFT_OUT}]

    def test_pytorch_is_asked_with_the_python_of_the_environment_that_has_it(self) -> None:
        where = f"{gather.ENVIRONMENTS}/pytorch/.venv"
        answers = {
            "ls -d": (0, f"{where}/lib/python3.12/site-packages/torch\n", ""),
            f"{where}/bin/python": (0, 'a warning\n{"numbers": {"torch": "2.14.1"}}\n', ""),
        }
        found = gather.full(place(gpu=False, answers=answers, environments=("pytorch",)), {})
        assert found["numbers"] == {"torch": "2.14.1"}
        assert found["speed"] == {"skipped": layers.NO_GPU}

    def test_pytorch_that_hangs_is_a_failure(self) -> None:
        where = f"{gather.ENVIRONMENTS}/pytorch/.venv"
        answers = {"ls -d": (0, f"{where}/lib/python3.12/site-packages/torch\n", ""), where: (124, "", "")}
        found = gather.full(place(answers=answers, environments=("pytorch",)), {})
        host = _host()
        said = layers.judge(found, gather.wanted_of(host, host.capabilities, found))["numbers"]
        assert [finding.verdict for finding in said] == ["FAIL"]
        assert f"no answer within {gather.TORCH_SECONDS} s" in said[0].value

    def test_the_text_of_a_probe_goes_through_any_quoting(self) -> None:
        command = gather.command("machine", "limits", seconds=20)
        for _ in range(3):
            command = f"sh -c {shlex.quote(command)}"
        assert len(command) < 100_000
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 (it is the point)
        assert json.loads(done.stdout)["limits"]

    def test_it_takes_little_time(self) -> None:
        begin = time.monotonic()
        gather.quick(place())
        assert time.monotonic() - begin < 20


class TestWanted:
    def test_what_the_host_s_entry_says(self) -> None:
        host = _host(spec={"gpu": "RTX 4090", "count": 2, "memory": 24}, variables={"gpu_max_temperature": 80, "x": 1})
        found = {"machine": {"platform": "wsl2"}}
        wanted = gather.wanted_of(host, host.capabilities, found, {"GPU 0: bf16 matmul": 150.0})
        assert (wanted.platform, wanted.gpu, wanted.count, wanted.memory) == ("wsl2", "RTX 4090", 2, 24.0)
        assert wanted.policy == {"max_temperature": 80}
        assert wanted.baseline == {"GPU 0: bf16 matmul": 150.0}

    def test_which_of_its_services_may_keep_memory(self) -> None:
        host = _host(services=catalogue.services())
        assert gather.wanted_of(host, host.capabilities, {}).services == gather.KEEPING

    def test_what_it_does_not_say_is_not_asked_for(self) -> None:
        host = _host()
        wanted = gather.wanted_of(host, host.capabilities, {})
        assert (wanted.gpu, wanted.count, wanted.memory) == (None, None, None)

    def test_without_gpu_there_is_to_be_none(self) -> None:
        host = _host(gpu_driver="none")
        found = gather.quick(place(gpu=False))
        judged = layers.judge(found, gather.wanted_of(host, host.capabilities, found))
        assert [(one.name, one.verdict, one.reason) for one in judged["devices"]] == [
            ("devices", "SKIP", layers.NO_GPU)
        ]
        assert "shared memory" in {one.name for one in judged["limits"]}
        assert not judged["driver"]
        assert recording.skipped(found, "cuda") == layers.NO_GPU


def _host(*, gpu_driver: Any = "provided", **more: Any) -> Host:
    return Host(
        name="a",
        project="p",
        stack="s",
        provider="test",
        id="1",
        label="l",
        generation=1,
        endpoint=Endpoint(address="127.0.0.1", port=22, user="dev", host_key=""),
        capabilities=Capabilities(
            init="none", gpu_driver=gpu_driver, kernel="shared", privilege="root", can_stop=False
        ),
        **more,
    )
