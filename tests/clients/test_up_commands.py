"""What `rig up`, `preview`, `status`, `stop` and `start` say of money, and ask."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from gpurig import records, runs
from gpurig.ledger import Ledger
from gpurig.ops import console
from gpurig.stack import Stack
from tests.clients.commands import Rig, ids, intended, write
from tests.clients.fake import Fault
from tests.clients.fake_lambdalabs import Lambdalabs
from tests.clients.fake_vastai import Vastai
from tests.clients.server import serving
from tests.unit.far import host
from tests.unit.test_runs import RUN


def test_up_says_the_price_and_does_not_spend_without_a_yes(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    code, out, err = rig("up")
    assert (code, out) == (2, "")
    assert "1 × RTX 4090 from vastai in Sweden, SE, $0.360 an hour ($8.65 a day)" in err
    assert "say --yes" in err
    assert vast.living() == []
    assert Ledger(stack.home).rentals() == []
    assert rig("up", "--yes")[1] == "+  trainer  created\n"
    assert len(vast.living()) == 1


def test_keys_of_the_configuration_reach_every_command(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(stack, "  gpurig:secrets: {VAST_API_KEY: good-key}\n", trainer="")
    for words in (["preview"], ["up", "--yes"], ["refresh"], ["stop", "trainer", "--yes"], ["reap"], ["down", "--yes"]):
        monkeypatch.delenv("VAST_API_KEY")
        code, _, err = rig(*words)
        assert (code, "no key" in err) == (0, False), words
    assert vast.living() == []


def test_no_is_an_answer(rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch) -> None:
    write(stack, trainer="")
    monkeypatch.setattr(console, "on_terminal", lambda: True)
    monkeypatch.setattr(console, "agrees", lambda _: False)
    assert rig("up")[0] == 2
    assert vast.living() == []


def test_preview_gives_two_hosts_two_machines_and_their_sum(rig: Rig, stack: Stack) -> None:
    write(stack, a="", b="")
    code, out, err = rig("preview")
    assert code == 0
    assert ["$0.360" in out, "$0.370" in out] == [True, True]
    assert "Together $0.731 an hour ($17.54 a day)" in err
    first, second = json.loads(rig("preview", "--json")[1])
    assert (first["hourly"], first["action"]) == ("0.3604", "create")
    assert first["offer"]["machine"] != second["offer"]["machine"]


def test_preview_says_what_cannot_be_had(rig: Rig, stack: Stack) -> None:
    write(stack, trainer="disk: 60000")
    _, out, err = rig("preview")
    assert "nothing is offered" in out
    assert "nobody offers 1 × RTX 4090" in err or "no offer meets it" in err


def test_the_budget_refuses_before_anything_is_asked_or_rented(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, "  gpurig:budget: {total: 0.50}\n", a="", b="")
    for words in (["preview"], ["up", "--yes"]):
        code, _, err = rig(*words)
        assert code == 2
        assert "gpurig:budget.total: $0.50 would be exceeded" in err
    assert vast.living() == []


def test_a_replacement_warns_of_the_loss_and_is_not_begun_where_nothing_replaces_it(
    rig: Rig, stack: Stack, vast: Vastai
) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    (machine,) = ids(vast)
    write(stack, trainer="disk: 100")
    assert f"Warning: trainer: vastai {machine} is ended; its disk and everything on it is lost." in rig("preview")[2]
    write(stack, trainer="disk: 60000")
    code, _, err = rig("up", "--yes")
    assert code == 2
    assert "not replaced" in err
    assert err.count("60000 GB") == 1
    assert ids(vast) == [machine]
    write(stack, trainer="disk: 100")
    assert rig("up", "--yes")[1] == "±  trainer  replaced  disk\n"
    assert ids(vast) != [machine]


def test_what_an_interrupted_up_rented_is_taken_over_and_not_quoted_again(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    (machine,) = ids(vast)
    records.remove(stack, "trainer")
    vast.offers = []
    out = rig("preview")[1]
    assert f"an interrupted run may have rented it: vastai {machine}, $0.360 an hour" in out
    assert rig("up", "--yes")[0] == 0
    assert ids(vast) == [machine]


def test_up_says_what_was_done_although_another_host_failed(rig: Rig, stack: Stack) -> None:
    write(stack, a="", b="gpu: H200".replace("gpu: H200", "image: nowhere/x"))
    code, out, err = rig("up", "--yes")
    assert (code, out) == (1, "+  a  created\n")
    assert "nowhere/x not found" in err


@pytest.mark.parametrize("wrong", ["image: nowhere/x", "disk: 60000", "region: Nowhere"])
def test_why_nothing_was_rented_is_said_once(rig: Rig, stack: Stack, wrong: str) -> None:
    write(stack, trainer=wrong)
    code, _, err = rig("up", "--yes")
    assert code == 1
    said = [line for line in err.splitlines() if "nowhere" in line.lower() or "60000 GB" in line]
    assert len(said) == 1, err


def test_why_other_offers_were_not_taken_is_said_once(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    vast.faults = [Fault("create", "status", 400), Fault("create", "status", 400)]
    code, _, err = rig("up", "--yes")
    assert code == 0
    assert [line for line in err.splitlines() if "fault" in line] == [
        "trainer: refused before: vastai: HTTP 400: a fault."
    ]
    vast.faults = [Fault("create", "status", 400), Fault("create", "status", 400)]
    write(stack, "  gpurig:budget: {total: 1}\n", trainer="", other="")
    err = rig("up", "--yes")[2]
    assert err.count("a fault") == 1


@pytest.mark.parametrize("words", [["up", "--yes"], ["preview"], ["rebuild", "box", "--yes"]])
def test_a_host_that_only_pulumi_makes_is_said_to_need_it_before_anything_else(
    rig: Rig, stack: Stack, words: list[str]
) -> None:
    entry = "provider: aws, region: eu-central-1, gpu: A10G, max_price: 2"
    stack.file.write_text(f"config:\n  gpurig:hosts:\n    box: {{{entry}}}\n")
    code, out, err = rig(*words)
    assert (code, out) == (2, "")
    assert err == (
        "Pulumi.test.yaml: gpurig:hosts.box: aws needs Pulumi's CLI, whose program makes its machines; install it with "
        "`make setup-pulumi`, or leave this host out. Nothing was changed.\n"
    )


def test_a_stopped_host_costs_its_disk_and_starts_again(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    assert json.loads(rig("status", "--json")[1])["hosts"][0]["hourly"] == "0.3604"
    code, _, err = rig("stop", "trainer")
    assert code == 2
    assert "costs $0.0104 an hour ($0.25 a day) instead of $0.360" in err
    assert "Its GPU may be rented to somebody else" in err
    assert rig("stop", "trainer", "--yes")[0] == 0
    (machine,) = vast.living()
    assert machine.state == "stopped"
    status = json.loads(rig("status", "--json")[1])["hosts"][0]
    assert (status["state"], status["hourly"]) == ("stopped", "0.0104")
    assert "stopped already" in rig("stop", "trainer", "--yes")[1]
    assert "say --yes" in rig("start", "trainer")[2]
    assert rig("start", "trainer", "--yes")[:2] == (0, "trainer is up.\n")
    assert machine.state == "running"
    assert rig("start", "trainer")[:2] == (0, "trainer runs already.\n")
    assert rig("status")[1].splitlines()[1].split()[-1] == "0.360"
    (rental,) = Ledger(stack.home).open_rentals()
    assert [kind for _, kind in rental.times][-2:] == ["stopped", "started"]


def test_refresh_of_an_empty_stack_says_so(rig: Rig, stack: Stack) -> None:
    write(stack)
    assert rig("refresh")[1] == "Stack test has no recorded hosts; `rig up` stands them up.\n"


def test_refresh_tells_and_enters_that_a_host_was_outbid(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="interruptible: true")
    assert rig("up", "--yes")[0] == 0
    (machine,) = vast.living()
    machine.state = "stopped"
    out, err = rig("refresh")[1:]
    assert "trainer: outbid: somebody pays more" in err
    assert "Every recorded host is there." in out
    (told,) = json.loads(rig("status", "--json")[1])["hosts"]
    assert (told["state"], told["hourly"]) == ("stopped", "0.0104")
    machine.state = "running"
    rig("refresh")
    assert [kind for _, kind in Ledger(stack.home).open_rentals()[0].times][-3:] == ["accepted", "stopped", "started"]


def test_up_says_that_a_stopped_host_costs_its_price_again(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    rig("stop", "trainer", "--yes")
    code, _, err = rig("up")
    assert code == 2
    assert ">  trainer  start    it costs $0.360 an hour ($8.65 a day) again" in err
    assert rig("up", "--yes")[1] == ">  trainer  started\n"
    assert [rental.state for rental in Ledger(stack.home).open_rentals()] == ["started"]
    assert json.loads(rig("status", "--json")[1])["hosts"][0]["hourly"] == "0.3604"


def test_a_stop_whose_answer_was_lost_is_looked_for(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    vast.faults = [Fault("write", "lose_reply")]
    code, _, err = rig("stop", "trainer", "--yes")
    assert code == 0
    assert "Looking whether it stops nevertheless" in err
    assert [rental.state for rental in Ledger(stack.home).open_rentals()] == ["stopped"]


def test_a_host_that_costs_nothing_is_not_stopped(rig: Rig, stack: Stack) -> None:
    records.save(stack, replace(host(), provider="container"))
    code, _, err = rig("stop", "far", "--yes")
    assert code == 2
    assert "not rented" in err


def test_stopping_asks_where_a_run_is_going_on(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    runs.save(stack, replace(RUN, host="trainer", label=records.require(stack, "trainer").label))
    assert f"{RUN.id} is going on there and will be killed. Stop trainer?" in rig("stop", "trainer")[2]


def test_a_start_without_a_gpu_leaves_the_host_stopped_and_its_price_too(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    rig("stop", "trainer", "--yes")
    vast.faults = [Fault("write", "status", 400, nth=n) for n in range(1)]
    code, _, err = rig("start", "trainer", "--yes")
    assert code == 1
    assert "trainer was not started" in err
    (rental,) = Ledger(stack.home).open_rentals()
    assert rental.state == "stopped"


def test_what_cannot_be_stopped_says_why(rig: Rig, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = Lambdalabs()
    with serving(vendor) as url:
        monkeypatch.setenv("GPURIG_LAMBDALABS_URL", url)
        monkeypatch.setenv("LAMBDA_API_KEY", "good-key")
        entry = f"provider: lambdalabs, gpu: {vendor.gpu}, max_price: 50"
        stack.file.write_text(f"config:\n  gpurig:hosts:\n    box: {{{entry}}}\n")
        assert rig("up", "--yes")[0] == 0
        code, _, err = rig("stop", "box", "--yes")
        assert code == 2
        assert "box: lambdalabs cannot stop" in err
        assert len(vendor.living()) == 1


def test_status_of_rented_hosts_loads_nothing_heavy(rig: Rig, stack: Stack) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    intended(stack)
    code = (
        "import sys, gpurig.cli\n"
        "try: gpurig.cli.main(['status'])\n"
        "finally: print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "0.360" in done.stdout
    assert "may still bill" in done.stderr
    assert not {"pydantic", "jinja2", "rich", "fabric", "pulumi", "httpx"} & set(done.stderr.split())


def test_status_shows_a_machine_that_lost_its_record(rig: Rig, stack: Stack) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    records.remove(stack, "trainer")
    (host,) = json.loads(rig("status", "--json")[1])["hosts"]
    assert (host["name"], host["state"], host["hourly"]) == ("trainer", "no record", "0.3604")
