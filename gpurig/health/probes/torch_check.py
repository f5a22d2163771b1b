"""PyTorch on the GPUs: whether it computes right, how fast, and whether several work together. Run by an environment's Python.

    python3 - [--device cuda|cpu] [--what numbers,speed,links] [--flip] [--burn MINUTES] [--smi nvidia-smi] [--fields a,b,c]

Prints one line of JSON with the sections of a recording that were asked for: {"numbers": …, "speed": …, "links": …}.
On the CPU it does the same with small sizes, and so can be tested without a GPU. `--flip` spoils one element of every
result after it was computed: what is not found then was never checked. Every section has

    "python": "3.11.14", "torch": "2.14.1+cu130", "cuda": "13.0" | null, "device": "cuda" | "cpu",
    "problem": "",                        why there is nothing to report of the whole section: no PyTorch, no CUDA, no answer
    "devices": [{"index": 0, "name": "NVIDIA GeForce RTX 4090", "capability": "8.9", "memory": 25386352640, "free": 24900000000,
                 "problem": "" | "no answer within 90 s, at …", …}]        empty for a problem of the whole; in links without more

numbers   top: "arch_list": ["sm_75", …, "compute_120"]. Of each device, each as far as it got:
              "kernel":  16.0                                              (ones(8) · 2).sum()
              "exact":   {"fp32": OUTCOME, "fp16": OUTCOME, "bf16": OUTCOME}    OUTCOME = {"elements": 4194304, "wrong": 0} | {"skipped": "…"}
              "repeats": {"fp32": {"times": 20, "different": 0}, "bf16": …}     products whose bits differ from the first one's
              "against": {"fp32": {"frobenius": 2.5e-7, "largest": 4e-7, "finite": true} | {"skipped": …}, "tf32", "fp16", "bf16"}
                         difference from the same product in fp64 on the CPU: relative in the Frobenius norm, and the
                         largest one relative to the largest element; null where not finite
speed     of each device: {"runs": [best first …], "best": 150.1, …} | {"skipped": "only 0.4 GB of its memory are free"}
              "matmul": {"type": "bf16", "size": 8192, …} TFLOPS         "type" is "fp16" below compute capability 8.0
              "copy": {"bytes": 1073741824, …} GB/s, read and written     "to_device", "from_device": pinned copies, GB/s
          top: "fields": ["index", …], "samples": [RUN, RUN, RUN]          nvidia-smi's answers while all GPUs are busy
               with --burn also "burn": {"minutes": 5.0, "devices": [{"index": 0, "times": 24000, "different": 0,
               "first": 150.1, "last": 148.7, "problem": ""}]}            TFLOPS of the first and the last third; its samples are in "samples"
links     "skipped": "there is one GPU" | "backend": "nccl" | "gloo", "count": 8, "bytes": 1073741824, "elements": 268435456,
          "wrong": 0, "runs": [best first …], "best": 475.2              bus bandwidth 2(n-1)/n · bytes / s, in GB/s; wrong over all ranks
          "peers": [[0, 1], …]                                            pairs that reach each other's memory directly
          "shm": 67108864, "environment": {"NCCL_P2P_DISABLE": "1"}       bytes of /dev/shm; NCCL's settings
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

from gpurig.health.probes import apart, torch_burn, torch_links, torch_numbers, torch_speed

SECTIONS = ("numbers", "speed", "links")

SECONDS = {"start": 90.0, "numbers": 90.0, "speed": 60.0, "samples": 60.0, "links": 90.0, "burn": 60.0}
"""For each step, whatever the GPUs do; `burn` comes on top of its own minutes."""

THREADS = 8
"""Of the CPU for one GPU's results to be compared with. A container shows all of its machine's processors, and may use a few."""

MEGA = 10**6


def main() -> None:
    """Take the readings that were asked for."""
    parser = argparse.ArgumentParser(description="Checks PyTorch on this machine's GPUs; prints one line of JSON.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--what", default=",".join(SECTIONS), help="some of numbers, speed, links")
    parser.add_argument("--flip", action="store_true", help="spoil one element of every result")
    parser.add_argument("--burn", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--smi", default="", help="the nvidia-smi to ask while the GPUs are busy; none: not asked")
    parser.add_argument("--fields", default="index", help="what to ask it for")
    options = parser.parse_args()
    what = options.what.split(",")
    if set(what) - set(SECTIONS):
        parser.error(f"--what takes {', '.join(SECTIONS)}")
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # the numbers that nvidia-smi gives them
    os.environ.pop("NVIDIA_TF32_OVERRIDE", None)  # it would decide over what is set below
    check = Check(options)
    taken = {name: {**check.head, "devices": [], **getattr(check, name)()} for name in SECTIONS if name in what}
    print(json.dumps(taken))  # noqa: T201 (this is the answer)


class Check:
    """A run of this probe. This process never starts CUDA itself: what forks after that cannot use it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.kind, self.options = options.device, options
        self.torch: Any = None
        self.head: dict[str, Any] = {
            "python": platform.python_version(),
            "torch": None,
            "cuda": None,
            "device": self.kind,
        }
        try:
            self.torch = importlib.import_module("torch")
        except (ImportError, OSError) as error:
            found: dict[str, Any] = {"problem": f"PyTorch cannot be imported: {error}"}
        else:
            self.head.update(torch=self.torch.__version__, cuda=self.torch.version.cuda)
            found = apart.alone(self.start, SECONDS["start"])
            processors = len(os.sched_getaffinity(0)) // max(1, len(found.get("devices", [])))
            self.torch.set_num_threads(max(1, min(THREADS, processors)))
        self.devices: list[dict[str, Any]] = found.get("devices", [])
        self.found = found
        self.dead: dict[int, str] = {}
        self.head["problem"] = found["problem"]

    def start(self, tell: apart.Tell) -> None:
        """Ask PyTorch about the devices."""
        torch = self.torch
        tell(step="PyTorch's start", arch_list=torch.cuda.get_arch_list())
        if self.kind == "cpu":
            tell(devices=[{"index": 0, "name": "CPU", "capability": "", "memory": 0, "free": 0}])
            return
        if not torch.cuda.is_available():
            torch.cuda.init()  # says why
        devices = []
        for index in range(torch.cuda.device_count()):
            tell(step=f"the start of GPU {index}")
            about, (free, _) = torch.cuda.get_device_properties(index), torch.cuda.mem_get_info(index)
            capability = f"{about.major}.{about.minor}"
            devices.append(
                {
                    "index": index,
                    "name": about.name,
                    "capability": capability,
                    "memory": about.total_memory,
                    "free": free,
                }
            )
        tell(devices=devices, peers=torch_links.peers(torch, len(devices)))

    def numbers(self) -> dict[str, Any]:
        """All devices at once."""
        look = functools.partial(torch_numbers.look, torch=self.torch, kind=self.kind, flip=self.options.flip)
        ready = self._with_room(torch_numbers.FREE)
        outcomes = apart.together([functools.partial(look, device=device) for device in ready], SECONDS["numbers"])
        devices = self._merged(ready, outcomes, torch_numbers.FREE)
        return {"arch_list": self.found.get("arch_list", []), "devices": devices}

    def speed(self) -> dict[str, Any]:
        """One device after the other, so that none takes another's power or link; then all of them, to look at them meanwhile."""
        look = functools.partial(torch_speed.look, torch=self.torch, kind=self.kind)
        ready = self._with_room(torch_speed.FREE)
        outcomes = [apart.alone(functools.partial(look, device=device), SECONDS["speed"]) for device in ready]
        fields = self.options.fields.split(",")
        devices = self._merged(ready, outcomes, torch_speed.FREE)
        found: dict[str, Any] = {"devices": devices, "fields": fields, "samples": []}
        ready = self._with_room(torch_speed.FREE)
        if self.options.smi and ready:
            done = torch_speed.Flag()
            busy = functools.partial(
                torch_speed.busy, torch=self.torch, devices=ready, kind=self.kind, done=done, seconds=SECONDS["samples"]
            )
            pace = (torch_speed.BEGIN[self.kind], torch_speed.PAUSE[self.kind], torch_speed.SAMPLES)
            _, said = apart.together([busy, self._sampler(done, *pace)], SECONDS["samples"])
            found["samples"] = said.get("samples", [])
        if self.options.burn and ready:
            found["burn"], samples = self.burn(ready, self.options.burn * 60)
            found["samples"] += samples
        return found

    def burn(self, devices: list[dict[str, Any]], seconds: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """All devices at once, and nvidia-smi's answers meanwhile."""
        look = functools.partial(
            torch_burn.look, torch=self.torch, kind=self.kind, seconds=seconds, flip=self.options.flip
        )
        works: list[apart.Work] = [functools.partial(look, device=device) for device in devices]
        if self.options.smi:
            pause, count = torch_burn.samples(seconds)
            works.append(self._sampler(torch_speed.Flag(), pause, pause, count))
        outcomes = apart.together(works, seconds + SECONDS["burn"])
        samples = outcomes.pop().get("samples", []) if self.options.smi else []
        about = [{"index": device["index"], **outcome} for device, outcome in zip(devices, outcomes)]  # noqa: B905 (Python 3.8)
        return {"minutes": self.options.burn, "devices": about}, samples

    def links(self) -> dict[str, Any]:
        """One process per GPU; on the CPU two, over gloo."""
        count = len(self.devices) if self.kind == "cuda" else 2
        ready = self._with_room(torch_links.FREE)
        settings = {name: value for name, value in os.environ.items() if name.startswith("NCCL_")}
        found = {
            "backend": "nccl" if self.kind == "cuda" else "gloo",
            "count": count,
            "peers": self.found.get("peers", []),
            "shm": shm(),
            "environment": settings,
        }
        if self.head["problem"] or count == 1:
            return {**found, **({} if self.head["problem"] else {"skipped": "there is one GPU"})}
        if self.dead:
            return {**found, "problem": f"GPU {min(self.dead)} gave no answer before"}
        if len(ready) < len(self.devices):
            return {**found, "skipped": f"a GPU has less than {torch_links.FREE / MEGA:.0f} MB of its memory free"}
        with tempfile.TemporaryDirectory() as folder:
            rank = functools.partial(
                torch_links.rank,
                torch=self.torch,
                count=count,
                kind=self.kind,
                meeting=f"{folder}/meeting",
                flip=self.options.flip,
            )
            works = [functools.partial(rank, number=number) for number in range(count)]
            outcomes = apart.together(works, SECONDS["links"], joined=True)
        problems = [f"GPU {number}: {one['problem']}" for number, one in enumerate(outcomes) if one["problem"]]
        failed = min(problems, key=lambda problem: apart.IN_VAIN in problem, default="")
        wrong = None if failed else sum(one["wrong"] for one in outcomes)
        return {**found, **outcomes[0], "wrong": wrong, "problem": failed}

    def _sampler(self, done: torch_speed.Flag, begin: float, pause: float, count: int) -> apart.Work:
        smi, fields = self.options.smi, self.options.fields
        return functools.partial(
            torch_speed.sample, smi=smi, fields=fields, done=done, begin=begin, pause=pause, count=count
        )

    def _with_room(self, free: int) -> list[dict[str, Any]]:
        rooms = [device for device in self.devices if self.kind == "cpu" or device["free"] >= free]
        return [device for device in rooms if device["index"] not in self.dead]

    def _merged(self, ready: list[dict[str, Any]], outcomes: list[dict[str, Any]], free: int) -> list[dict[str, Any]]:
        """All devices, with what was found on those that were ready. Those that gave no answer are left alone from now on:
        each further try would last until its limit."""
        found = {one["index"]: outcome for one, outcome in zip(ready, outcomes)}  # noqa: B905 (Python 3.8)
        merged = [{**one, **(found.get(one["index"]) or self._without(one, free))} for one in self.devices]
        said = {index: outcome["problem"] for index, outcome in found.items()}
        self.dead.update({index: problem for index, problem in said.items() if problem.startswith(apart.SILENT)})
        return merged

    def _without(self, device: dict[str, Any], free: int) -> dict[str, str]:
        if device["index"] in self.dead:
            return {"problem": self.dead[device["index"]]}
        needed = f"{device['free'] / MEGA:.0f} MB of its memory are free, and {free / MEGA:.0f} MB are needed"
        return {"problem": "", "skipped": needed}


def shm() -> int | None:
    """Bytes of /dev/shm, through which NCCL's and PyTorch's processes exchange data."""
    if not Path("/dev/shm").is_dir():  # noqa: S108 (it is what is asked about)
        return None
    about = os.statvfs("/dev/shm")  # noqa: S108 (it is asked for, not written to)
    return about.f_blocks * about.f_frsize


if __name__ == "__main__":
    main()
