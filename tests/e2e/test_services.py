"""Services on real hosts: with systemd all that can run without a GPU, without an init system the light ones."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from gpurig import catalogue, config, lifecycle, reach
from gpurig.providers.container.client import Podman
from gpurig.stack import Stack
from tests.e2e import serving, serving_scripts
from tests.e2e.configured import Configured
from tests.e2e.serving import Hosts, answer, both, failed, told, until

pytestmark = pytest.mark.timeout(1200)  # the first test installs PyTorch


@pytest.fixture(scope="module")
def hosts(e2e_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    """Both hosts after site.yml."""
    commit, repository = serving.stand_in(tmp_path_factory.mktemp("nanochat"))
    stack = Stack(e2e_stack.project, "services", e2e_stack.root, e2e_stack.home)
    stack.file.write_text(serving.STACK.format(commit=commit, odd=json.dumps(serving_scripts.ODD)))
    wanted = config.load(stack).hosts
    made = {name: Configured(stack, lifecycle.ensure(stack, name, spec, report=print)) for name, spec in wanted.items()}
    made["full"].root(f"mkdir -p /srv; base64 -d <<'END' | tar -x -C /srv\n{repository}\nEND\n")
    done = both(made, "site.yml")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    return made


@pytest.fixture(scope="module")
def full(hosts: Hosts) -> Configured:
    return hosts["full"]


@pytest.fixture(scope="module")
def light(hosts: Hosts) -> Configured:
    return hosts["light"]


def test_all_of_them_are_as_verification_wants_them(full: Configured, light: Configured) -> None:
    """With each kind of login, without, with a wrong one; addresses; who may reach what is exposed."""
    assert failed(full, "services", "exposure", "listeners") == {}
    assert failed(light, "services", "exposure", "listeners") == {}
    passed = {result.name: result for result in full.check("exposure")}
    assert passed["mlflow: answers 10.0.0.0/8"].verdict == "PASS"
    assert passed["mlflow: refuses others than 10.0.0.0/8"].verdict == "PASS"
    assert passed["api: answers 192.0.2.0/24"].verdict == "SKIP", "no address of this host is in there"
    assert passed["rpc: network of its own"].verdict == "PASS"


def test_a_second_run_changes_nothing(hosts: Hosts) -> None:
    for options in ([], ["--check", "--diff"]):
        done = both(hosts, "site.yml", *options)
        assert done.stdout.count("changed=0") == 2, done.stdout[-6000:]


def test_rig_shows_what_runs_and_hides_the_tokens(full: Configured) -> None:
    found = told(full)
    assert {row["state"] for row in found.values()} == {"running"}
    assert all(row["memory"] > 10_000_000 and row["since"] > time.time() - 3600 for row in found.values())
    assert found["mlflow"]["exposed"].endswith(":15000 from 10.0.0.0/8")
    assert found["jupyter"]["exposed"] is None
    log = full.rig("services", "full", "--log", "jupyter", "--lines", "3").stdout
    assert 0 < len(log.splitlines()) <= 3
    assert "PID USER" in full.rig("top", "full").stdout
    assert full.rig("open", "rpc", "full").stdout == "rig connect full -- /opt/gpurig/services/rpc/connect\n"


def test_each_of_them_opens_here_as_in_a_browser(full: Configured) -> None:
    with serving.tunnel(full) as addresses:
        assert set(addresses) == {"jupyter", "tensorboard", "mlflow", "api", "nanochat"}
        found = {name: serving.browse(address) for name, address in addresses.items()}
    assert found == dict.fromkeys(addresses, 200)


def test_old_settings_of_notebooks_open_nothing(full: Configured) -> None:
    """A NotebookApp line would win over ServerApp's, and with an empty token let everybody in."""
    where, said, terminals, servers, mode = full.root(serving_scripts.STALE).splitlines()
    assert (where, "403" in said) == ("127.0.0.1:8888", True)
    assert (terminals, servers) == ("[]", "True"), "what the environment's own packages switch on is there"
    assert mode == "700", "Jupyter writes its token there"


def test_variables_of_services_arrive_as_they_were_written(hosts: Hosts) -> None:
    for host in hosts.values():
        file = f"/proc/{serving.processes(host)['tensorboard']}/environ"
        said = host.root(f"runuser -u $(stat -c %U {file}) -- cat {file} | tr '\\0' '\\n'").splitlines()
        assert f"ODD={serving_scripts.ODD}" in said


def test_tensorboard_follows_the_newest_run(full: Configured) -> None:
    write = "from tensorboardX import SummaryWriter; w = SummaryWriter('{0}'); w.add_scalar('loss', 1, 1); w.close()"
    run = "/home/dev/gpurig/runs/20990101-newest"
    python = "/opt/gpurig/environments/starter/.venv/bin/python"
    full.root(f'runuser -u dev -- {python} -c "{write.format(run + "/log")}"')
    assert until(lambda: "20990101-newest" in answer(full, "tensorboard", "/TOKEN/data/runs"), 60)


def test_mlflow_takes_only_the_names_it_is_called_by_and_keeps_what_it_was_told(full: Configured) -> None:
    refused = {"past the exposure": 403, "evil": 403, "strange path": 401}
    assert json.loads(full.root(serving_scripts.MLFLOW)) == {"named": 200, "an address": 200, "kept": True, **refused}


def test_the_api_answers_a_load_in_batches_and_refuses_what_it_must(full: Configured) -> None:
    found = json.loads(full.root(serving.python(serving_scripts.CALLS)))
    assert found["statuses"] == {"200": 320}
    assert found["requests"] == 320
    assert found["batches"] < 160, "simultaneous requests are brought together"
    assert found["answer"]["shape"] == [3]
    refusals = {name: found[name] for name in ("too_large", "no_login", "nonsense", "not_a_number", "extra")}
    assert refusals == {"too_large": 413, "no_login": 401, "nonsense": 422, "not_a_number": 422, "extra": 422}


def test_the_chat_page_waits_for_a_model_and_then_asks_for_a_login(full: Configured) -> None:
    """The page is a stand-in; what is in front of it is ours."""
    assert "There is no trained model under /home/dev/nanochat yet" in answer(full, "nanochat", "/")
    assert answer(full, "nanochat", "/chat/completions").splitlines()[-1] == "503"
    full.root(
        "runuser -u dev -- sh -c 'mkdir -p ~/nanochat/chatsft_checkpoints/d2; touch ~/nanochat/chatsft_checkpoints/d2/model_000001.pt'"
    )
    assert until(lambda: "simulated" in answer(full, "nanochat", "/stats"), 120)
    page, status = answer(full, "nanochat", "/stats").splitlines()
    assert (json.loads(page), status) == ({"simulated": True, "source": "sft", "host": "127.0.0.1"}, "200")
    assert failed(full, "services") == {}


def test_rpc_computes_for_a_client_over_ssh_and_for_nobody_else(full: Configured) -> None:
    root, folder = catalogue.ROOT, "/home/dev/laptop"
    for file in ("examples/rpc/client.py", "examples/rpc/remote.py", "roles/services/files/rpc/frames.py"):
        full.root(
            f"mkdir -p {folder}/{Path(file).parent}; cat >{folder}/{file} <<'END'\n{(root / file).read_text()}\nEND\n"
        )
    python = "/opt/gpurig/environments/pytorch/.venv/bin/python"
    connect = '["/opt/gpurig/services/rpc/connect"]'
    found = json.loads(full.root(f"cd {folder}/examples/rpc; runuser -u dev -- {python} client.py '{connect}' 1000"))
    assert found["largest_difference"] < 1e-3
    assert found["calls"] == 1000
    assert found["p50_us"] < 20_000
    asked = full.rig("connect", "full", "--", "/opt/gpurig/services/rpc/connect </dev/null")
    assert asked.returncode == 0, asked.stderr
    said = full.root(
        "useradd --create-home stranger; runuser -u stranger -- /opt/gpurig/services/rpc/connect </dev/null 2>&1 || true\n"
        'userdel -r stranger 2>/dev/null; echo \'{"call": "nope", "arrays": 0}\' | runuser -u dev -- /opt/gpurig/services/rpc/connect\n'
        "echo 'GET / HTTP/1.1' | runuser -u dev -- /opt/gpurig/services/rpc/connect"
    ).splitlines()
    assert "Permission denied" in said[0]
    assert "no such function 'nope'; there are: echo, matmul, ones" in said[1]
    assert "this is no frame" in said[2]
    assert told(full)["rpc"]["state"] == "running"


def test_a_port_that_somebody_else_has_is_said_before_anything_changes(full: Configured) -> None:
    full.root("systemd-run --quiet --unit=test-taken python3 -m http.server --bind 127.0.0.1 5055")
    try:
        until(lambda: ":5055 " in full.root("ss -ltn"), 10)
        done = full.playbook("site.yml", "--tags=services", "-e", json.dumps({"services_ports": {"mlflow": 5055}}))
    finally:
        full.root("systemctl stop test-taken")
    assert "services.mlflow: port 5055 is taken there by python3" in done.stdout
    assert "changed=0" in done.stdout


def test_an_exposed_service_that_refuses_the_address_it_is_called_by_is_found(full: Configured) -> None:
    program, start = "/etc/gpurig/services/mlflow", "systemctl restart gpurig-mlflow"
    full.root(f"cp -p {program} /root/kept; sed -i s/:15000/:1/g {program}; {start}")
    try:
        assert until(lambda: "HTTP 403" in failed(full, "exposure").get("mlflow: answers 10.0.0.0/8", ""), 120)
    finally:
        full.root(f"cp -p /root/kept {program}; {start}")
    assert until(lambda: failed(full, "exposure") == {}, 120)


def test_an_exposure_that_lets_everybody_in_is_found(full: Configured) -> None:
    config_file = "/etc/gpurig/services/exposure.cfg"
    full.root(
        f"cp {config_file} /root/kept; sed -i /reject/d {config_file}; systemctl restart gpurig-exposure; sleep 1"
    )
    try:
        found = failed(full, "exposure")
    finally:
        full.root(f"cp /root/kept {config_file}; systemctl restart gpurig-exposure")
    assert "127.0.0.1" in found["mlflow: refuses others than 10.0.0.0/8"]


def test_what_was_killed_comes_back(hosts: Hosts) -> None:
    before = {}
    for name, host in hosts.items():
        before[name] = serving.processes(host)
        host.root(f"kill -9 {' '.join(before[name].values())}")

    def back(name: str) -> bool:
        now = serving.processes(hosts[name])
        return all(now[service] not in ("0", pid) for service, pid in before[name].items())

    assert until(lambda: back("full") and back("light"), 60)
    assert until(lambda: not any(failed(host, "services", "exposure") for host in hosts.values()), 240)


def test_without_an_init_system_a_service_is_never_given_up_but_waited_for_ever_longer(light: Configured) -> None:
    program = "/etc/gpurig/services/tensorboard"
    light.root(
        f"cp -p {program} /root/kept; printf '#!/bin/sh\\nexit 1\\n' > {program}; kill -9 $(supervisorctl pid gpurig-tensorboard)"
    )
    try:
        assert until(lambda: "(3); it starts again in 8 s" in light.root("cat /var/log/gpurig/tensorboard.log"), 60)
        assert told(light)["tensorboard"]["state"] == "starts again"
    finally:
        light.root(f"cp -p /root/kept {program}")
    assert until(lambda: failed(light, "services") == {}, 90), "it comes back by itself"


def test_without_an_init_system_a_service_keeps_to_its_memory_too(light: Configured) -> None:
    limits = "/etc/gpurig/services/memory.json"
    light.root(f'cp -p {limits} /root/kept; echo \'{{"tensorboard": "20M"}}\' > {limits}')
    try:
        assert until(lambda: "MB, more than its limit 20M" in light.root("cat /var/log/gpurig/tensorboard.log*"), 60)
    finally:
        light.root(f"cp -p /root/kept {limits}")
    assert until(lambda: failed(light, "services") == {}, 120), "it comes back by itself"


@pytest.fixture
def restarted(hosts: Hosts) -> Hosts:
    """Both hosts switched off and on."""
    podman = Podman(hosts["full"].stack.home / "containers.conf")
    podman.run("restart", "--time=5", *(host.host.id for host in hosts.values()))
    for host in hosts.values():
        reach.wait(host.stack, host.host, seconds=60, report=print)
    return hosts


def test_after_a_restart_of_the_host_everything_runs(restarted: Hosts) -> None:
    topics = ("services", "exposure", "listeners")
    assert until(lambda: not any(failed(host, *topics) for host in restarted.values()), 240)


def test_what_is_no_longer_exposed_cannot_be_reached_and_haproxy_goes(hosts: Hosts) -> None:
    done = both(hosts, "site.yml", "--tags=services", "-e", '{"gpurig_expose": {}}')
    assert "failed=0" in done.stdout, done.stdout[-3000:]
    for host in hosts.values():
        left = host.root("ls /etc/gpurig/services; ss -Hltn; command -v haproxy || echo none").splitlines()
        assert left[-1] == "none"
        assert not [line for line in left if "exposure" in line or ":15000 " in line or ":18888 " in line]
    again = both(hosts, "site.yml", "--tags=services", "-e", '{"gpurig_expose": {}}')
    assert again.stdout.count("changed=0") == 2
