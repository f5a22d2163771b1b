"""How nvidia-smi's words are read, each trap once; what is taken out of a recording; thresholds and the user's own."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig import config
from gpurig.errors import ConfigError
from gpurig.health import recording, thresholds
from gpurig.health.anonymous import anonymous
from tests.unit.recordings import wanted


class TestCells:
    @pytest.mark.parametrize(
        "text",
        [
            "[N/A]",
            "N/A",
            "[Not Supported]",
            "Not Supported",
            "[Insufficient Permissions]",
            "[Not Found]",
            "[Requested functionality has been deprecated]",
            "",
        ],
    )
    def test_what_a_gpu_does_not_tell_is_silent(self, text: str) -> None:
        assert recording.cell(text).state == "silent"
        assert recording.cell(text).number is None

    @pytest.mark.parametrize("text", ["[Unknown Error]", "[GPU requires reset]", "[GPU is lost]", "ERR!"])
    def test_what_a_broken_gpu_says_is_broken(self, text: str) -> None:
        assert recording.cell(text).state == "broken"

    @pytest.mark.parametrize(
        ("text", "number"), [("12", 12), ("39.32", 39.32), ("8192 MiB", 8192), ("-3", -3), ("P8", None)]
    )
    def test_numbers(self, text: str, number: float | None) -> None:
        assert recording.cell(text).number == number

    def test_bits(self) -> None:
        assert recording.cell("0x0000000000000084").bits == 0x84
        assert recording.cell("Active").bits is None

    @pytest.mark.parametrize(
        ("text", "yes"), [("Yes", True), ("1", True), ("No", False), ("0", False), ("[N/A]", None)]
    )
    def test_yes_and_no(self, text: str, yes: bool | None) -> None:
        assert recording.cell(text).yes is yes

    def test_a_warning_between_the_rows_is_no_gpu(self) -> None:
        said = "0, NVIDIA L4\nWARNING: infoROM is corrupted at gpu 0000:01:00.0, see the manual\n1, NVIDIA L4\n"
        assert len(recording.rows(recording.Run(0, said), ["index", "name"])) == 2

    def test_the_old_name_of_a_field_is_the_new_one(self) -> None:
        [row] = recording.rows(recording.Run(0, "0x20\n"), ["clocks_throttle_reasons.active"])
        assert row["clocks_event_reasons.active"].bits == 0x20


class TestAnonymous:
    def clean(self, text: str, *names: str) -> str:
        return str(anonymous({"text": text}, names)["text"])

    @pytest.mark.parametrize(
        ("text", "clean"),
        [
            ("(UUID: GPU-b850f46d-d5ea-c752-ddf3-c4453e44d3f7)", "(UUID: GPU-00000000-0000-0000-0000-000000000000)"),
            ("Serial Number: 1650000000002", "Serial Number: 0"),
            ("00000000:0C:00.0, 580.95.05", "00000000:01:00.0, 580.95.05"),
            ("from 10.20.30.40 and fe80::1ff:fe23:4567:890a", "from <address> and <address>"),
            ("at aa:bb:cc:dd:ee:ff", "at <address>"),
            ("/home/alice/train.py", "/home/user/train.py"),
            ("pid=40211, name=train.py, Ch 8", "pid=1, name=<process>, Ch 8"),
            ("Killed process 4242 (python3) total-vm", "Killed process 1 <process> total-vm"),
            ("python3 invoked oom-killer: gfp", "<process> invoked oom-killer: gfp"),
            ("connect to 10.20.30.40. No answer", "connect to <address>. No answer"),
            ("Linux 5.15.167.4-microsoft-standard-WSL2", "Linux 5.15.167.4-microsoft-standard-WSL2"),
            ("6.6.87.2-microsoft-standard-WSL2+", "6.6.87.2-microsoft-standard-WSL2+"),
            ("libnccl 2.28.9.1 from 10.1.2.3", "libnccl 2.28.9.1 from <address>"),
            ("libvirt 10.1.2.3, peer==10.1.2.4", "libvirt <address>, peer==<address>"),
            ("NCCL version 2.28.9.1", "NCCL version 2.28.9.1"),
            ("nvidia-cudnn-cu13==9.13.0.50", "nvidia-cudnn-cu13==9.13.0.50"),
            ("libcudnn.so.9.13.0.50", "libcudnn.so.9.13.0.50"),
            (
                "96.00.A5.00.01 94.02.42.00.71 0x0000000000000004 00:09:11",
                "96.00.A5.00.01 94.02.42.00.71 0x0000000000000004 00:09:11",
            ),
        ],
    )
    def test_what_tells_whose_it_is_goes(self, text: str, clean: str) -> None:
        assert self.clean(text) == clean

    def test_names_go_wherever_they_stand(self) -> None:
        assert (
            self.clean("alice on alice-pc, root, malice", "alice", "alice-pc", "root")
            == "<name> on <name>, root, malice"
        )

    def test_a_host_called_gpu_and_a_user_called_dev_spoil_nothing(self) -> None:
        assert self.clean("/dev/nvidia0, temperature.gpu", "gpu", "dev") == "/dev/nvidia0, temperature.gpu"

    def test_the_same_thing_stays_the_same(self) -> None:
        assert self.clean("0000:0c:00 0000:5d:00 00000000:0C:00.0") == "0000:01:00 0000:02:00 00000000:01:00.0"


class TestThresholds:
    def test_each_says_what_it_is_about_and_where_it_is_from(self) -> None:
        for threshold in thresholds.table().values():
            assert threshold.about, threshold
            assert threshold.source, threshold

    def test_a_misspelt_one_is_refused_with_a_suggestion(self) -> None:
        [said] = thresholds.mistakes({"gpu_min_pci_width": 4, "base_time_zone": "UTC"})
        assert said.startswith("gpu_min_pci_width: no such threshold (did you mean 'gpu_min_pcie_width'?)")

    @pytest.mark.parametrize("value", ["4", True, None, [4], -0.1, float("nan")])
    def test_what_is_no_limit_is_refused(self, value: Any) -> None:
        [said] = thresholds.mistakes({"gpu_min_pcie_width": value})
        assert f"found {value!r}: write a number of 0 or more: PCIe lanes" in said
        assert thresholds.policy({"gpu_min_pcie_width": value}) == {}

    def test_the_users_wins_and_is_named_as_the_source(self) -> None:
        mine = wanted(policy=thresholds.policy({"gpu_max_temperature": 80}))
        assert (thresholds.of("max_temperature", mine).value, thresholds.of("max_temperature", wanted()).value) == (
            80,
            90,
        )
        assert thresholds.of("max_temperature", mine).source == "gpu_max_temperature of this host"

    def test_a_stacks_file_with_a_misspelt_one_is_refused(self) -> None:
        entry = {"provider": "container", "variables": {"gpu_min_pcie_widht": 4}}
        with pytest.raises(
            ConfigError, match=r"hosts\.a\.variables\.gpu_min_pcie_widht: no such threshold \(did you mean"
        ):
            config.parse({"hosts": {"a": entry}}, "Pulumi.test.yaml")
        config.parse({"hosts": {"a": {**entry, "variables": {"gpu_min_pcie_width": 4}}}}, "Pulumi.test.yaml")
