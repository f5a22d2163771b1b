"""What the user types and reads about rentals, against simulated vendors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gpurig import offers, pulumi_cli, pulumi_process, records, runs, settle
from gpurig.cli import main
from gpurig.errors import RigError
from gpurig.ledger import Ledger
from gpurig.ops import console
from gpurig.stack import Stack
from tests.clients.fake import Fault, serving
from tests.clients.fake_lambdalabs import Lambdalabs
from tests.clients.fake_vastai import Vastai, offer
from tests.unit.far import host
from tests.unit.test_runs import RUN

Rig = Callable[..., tuple[int, str, str]]

KEYS = (
    "RUNPOD_API_KEY",
    "LAMBDA_API_KEY",
    "DIGITALOCEAN_TOKEN",
    "PAPERSPACE_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
)


@pytest.fixture
def vast(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vastai]:
    """Simulated Vast.ai, the only vendor whose key is here; listings lag 20 s behind."""
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    made = Vastai()
    made.lag = 20
    with serving(made) as url:
        monkeypatch.setenv("GPURIG_VASTAI_URL", url)
        yield made
    assert made.mistakes == []


@pytest.fixture
def rig(stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rig:
    """Run a command in the stack; gives its exit code, stdout and stderr."""
    (stack.root / "Pulumi.yaml").write_text("name: unit\nruntime: python\n")
    for name, value in {
        "GPURIG_HOME": str(stack.home), "GPURIG_STACK": "test", "GPURIG_ENGINE": "embedded", "HOME": str(stack.root),
        "PULUMI_HOME": str(stack.root / "pulumi"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(stack.root)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(words)
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


def write(stack: Stack, extra: str = "", **hosts: str) -> None:
    """The stack's file; a host's text is what its entry says besides vendor, GPU and price."""
    entry = "provider: vastai, gpu: RTX 4090, max_price: 0.60"
    lines = "".join(f"    {name}: {{{entry}{f', {more}' if more else ''}}}\n" for name, more in hosts.items())
    stack.file.write_text(f"config:\n  gpurig:hosts:{' {}' if not hosts else ''}\n{lines}{extra}")


def ids(vendor: Vastai) -> list[str]:
    return [machine.id for machine in vendor.living()]


def stray(vendor: Vastai, mark: str) -> str:
    """A machine that somebody rented without this computer's knowing."""
    made = vendor.rent(mark, offer=offer(99), body={})
    made.listed_from = 0
    return made.id


FOREIGN = "gpurig.other.prod.trainer.3.0123456789ab"


# --- offers ----------------------------------------------------------------------------------------------------------


def test_offers_come_cheapest_first_with_the_disk_in_the_price(rig: Rig) -> None:
    code, out, err = rig("offers", "--gpu", "rtx4090", "--disk", "100", "--json")
    found = json.loads(out)["offers"]
    prices = [Decimal(one["price"]) for one in found]
    assert (code, prices == sorted(prices), len(found)) == (0, True, 12)
    assert prices[0] == Decimal("0.35") + (Decimal("0.15") * 100 / 720).quantize(Decimal("0.0001"))
    assert "LAMBDA_API_KEY" in err
    assert err.count("\n") == 1


def test_the_table_has_what_decides(rig: Rig) -> None:
    _, out, _ = rig("offers", "--gpu", "RTX 4090", "--max-price", "0.38")
    heads, first, *_ = out.splitlines()
    assert (
        " ".join(heads.split()) == "PROVIDER GPU COUNT MEMORY CPU RAM DISK REGION $/H $/H STOPPED KIND RELIABILITY LINK"
    )
    for cell in (
        "vastai",
        "RTX 4090",
        "24 GB",
        "16",
        "63 GB",
        "500 GB",
        "Sweden, SE",
        "0.360",
        "0.010",
        "on demand",
        "99.5%",
    ):
        assert cell in first
    assert "900 Mbit/s" in first


def test_offers_need_no_project(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.delenv("GPURIG_STACK")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert rig("offers", "--gpu", "RTX 4090")[0] == 0


def test_every_offer_that_is_left_out_is_explained(rig: Rig, vast: Vastai) -> None:
    vast.offers = [
        offer(1),
        offer(2, price=0.9),
        offer(3, gpu="RTX 3090"),
        offer(4, geolocation="Texas, US"),
        offer(5, reliability2=0.5),
    ]
    words = (
        "offers",
        "--gpu",
        "RTX 4090",
        "--region",
        "EU",
        "--reliability",
        "0.95",
        "--max-price",
        "0.60",
        "--explain",
    )
    data = json.loads(rig(*words, "--json")[1])
    assert [one["id"] for one in data["offers"]] == ["1"]
    why = {one["id"]: one["objection"] for one in data["left_out"]}
    assert set(why) == {"2", "3", "4", "5"}
    assert "not in EU" in why["4"]
    out = rig(*words)[1]
    assert all(reason in out for reason in why.values())


def test_a_dearer_wish_is_told_what_the_cheapest_would_be(rig: Rig) -> None:
    code, out, err = rig("offers", "--gpu", "RTX 4090", "--max-price", "0.20")
    assert (code, out) == (1, "")
    assert "nothing under $0.20 an hour" in err
    assert "$0.3604: 1 × RTX 4090 at vastai in Sweden, SE" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--gpu", "RTX 4900"], "no such GPU is known (did you mean 'RTX 4090'?)"),
        (["--gpu", "A100"], "which one: A100 40GB or A100 80GB?"),
        (["--count", "many"], "--count many: "),
        (["--max-price", "-1"], "--max-price -1: "),
        (["--provider", "vast"], "no such vendor (did you mean 'vastai'?)"),
        (["--host", "nobody"], "No host 'nobody' in Pulumi.test.yaml"),
    ],
)
def test_a_wrong_wish_is_told_with_its_option(rig: Rig, stack: Stack, words: list[str], says: str) -> None:
    write(stack, trainer="")
    code, out, err = rig("offers", *words)
    assert (code, out) == (2, "")
    assert says in err


def test_all_mistakes_of_a_wish_are_told_at_once(rig: Rig) -> None:
    err = rig("offers", "--gpu", "A100", "--count", "99", "--reliability", "99")[2]
    assert all(option in err for option in ("--gpu", "--count", "--reliability"))


def test_a_hosts_wish_is_taken_and_options_change_it(rig: Rig, stack: Stack) -> None:
    write(stack, trainer="disk: 100")
    found = json.loads(rig("offers", "--host", "trainer", "--json")[1])["offers"]
    assert found[0]["price"] == "0.3708"
    assert len(json.loads(rig("offers", "--host", "trainer", "--max-price", "0.40", "--json")[1])["offers"]) < len(
        found
    )


def test_a_broken_vendor_hides_no_other(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNPOD_API_KEY", "k")
    monkeypatch.setenv("GPURIG_RUNPOD_URL", "http://127.0.0.1:9")
    code, out, err = rig("offers", "--gpu", "RTX 4090", "--json")
    data = json.loads(out)
    assert (code, len(data["offers"])) == (0, 12)
    assert data["problems"]["runpod"] in err
    assert "127.0.0.1:9" in err


def test_a_named_vendor_without_key_says_what_to_set(rig: Rig) -> None:
    code, out, err = rig("offers", "--gpu", "H100", "--provider", "lambdalabs")
    assert (code, out) == (1, "")
    assert "LAMBDA_API_KEY" in err
    assert "gpurig:secrets" in err


def test_several_vendors_are_named_by_comma_or_one_by_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def search(names: Iterable[str], _: offers.Wish) -> list[offers.Answer]:
        asked.append(tuple(names))
        return []

    monkeypatch.setattr(offers, "search", search)
    rig("offers", "--provider", "vastai,lambdalabs")
    rig("offers", "--provider", "vastai", "--provider", "lambdalabs")
    assert asked == [("vastai", "lambdalabs")] * 2


def test_keys_come_from_the_stacks_secrets_unless_the_environment_has_them(
    rig: Rig, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAST_API_KEY")
    assert "no key is here" in rig("offers")[2]
    write(stack, "  gpurig:secrets: {VAST_API_KEY: good-key}\n")
    assert rig("offers")[0] == 0
    monkeypatch.setenv("VAST_API_KEY", "wrong-key")
    assert "Is VAST_API_KEY right?" in rig("offers")[2]


def test_an_encrypted_key_is_shown_by_pulumi_only(rig: Rig, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAST_API_KEY")
    write(stack, "  gpurig:secrets: {VAST_API_KEY: {secure: v1:xx}}\n")
    assert "only Pulumi's CLI can read VAST_API_KEY" in rig("offers")[2]
    shown = {"gpurig:secrets": {"value": json.dumps({"VAST_API_KEY": "good-key"}), "secret": True}}
    monkeypatch.setattr(pulumi_process, "find", lambda: Path("/usr/bin/pulumi"))
    monkeypatch.setattr(pulumi_process.Cli, "ask", lambda *_: json.dumps(shown))
    code, out, err = rig("offers")
    assert code == 0
    assert "good-key" not in out + err


def test_an_estimate_names_the_cheapest_and_others(rig: Rig) -> None:
    out = rig("estimate", "--hours", "4", "--gpu", "RTX 4090")[1]
    assert len(out.splitlines()) == 6
    assert "$ FOR 4 H" in out
    first = json.loads(rig("estimate", "--hours", "4", "--gpu", "RTX 4090", "--json")[1])["estimates"][0]
    assert (first["price"], first["cost"], first["daily"]) == ("0.3604", "1.4416", "8.6496")


@pytest.mark.parametrize(
    "words", [["--gpu", "H100"], ["--hours", "0", "--gpu", "H100"], ["--hours", "x", "--gpu", "H100"], ["--hours", "4"]]
)
def test_an_estimate_wants_hours_and_a_gpu(rig: Rig, words: list[str]) -> None:
    assert rig("estimate", *words)[0] == 2


# --- up --------------------------------------------------------------------------------------------------------------


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


# --- status, stop, start ---------------------------------------------------------------------------------------------


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


# --- costs -----------------------------------------------------------------------------------------------------------


def test_costs_are_told_in_the_table_and_on_a_page(rig: Rig, stack: Stack, tmp_path: Path) -> None:
    assert rig("costs")[1] == "Nothing was ever rented from here.\n"
    write(stack, trainer="")
    rig("up", "--yes")
    out = rig("costs")[1]
    assert "unit/test/trainer" in out
    assert "BILLS NOW" in out
    assert "As it goes on, today will have cost" in out
    code, _, err = rig("costs", "--by", "provider", "--html", str(tmp_path / "costs.html"))
    assert code == 0
    page = (tmp_path / "costs.html").read_text()
    assert str(tmp_path / "costs.html") in err
    assert "<svg" in page
    assert "gpurig.unit.test.trainer.1" in page
    assert "http" not in page
    assert "src=" not in page


def test_costs_of_one_stack_or_of_everything(rig: Rig, stack: Stack) -> None:
    facts = {
        "provider": "vastai",
        "label": "gpurig.x.y.z.1",
        "host": "z",
        "generation": 1,
        "price": Decimal(1),
        "price_stopped": None,
    }
    Ledger(stack.home).intend(project="x", stack="y", **facts)
    assert json.loads(rig("costs", "--json")[1])["total"]["rentals"] == 1
    for words in (["--stack-only"], ["--stack", "test"]):
        assert json.loads(rig("costs", *words, "--json")[1])["total"]["rentals"] == 0
    assert "1 may still bill" in rig("costs")[1]


def test_costs_want_a_known_grouping_and_a_folder(rig: Rig, tmp_path: Path) -> None:
    assert rig("costs", "--by", "week")[0] == 2
    assert rig("costs", "--html", str(tmp_path / "nowhere" / "a.html"))[0] == 2


# --- what may still bill ---------------------------------------------------------------------------------------------


def intended(here: Stack, host: str = "z", **facts: object) -> str:
    given = {
        "provider": "vastai",
        "project": "x",
        "stack": "y",
        "generation": 1,
        "price": Decimal("0.41"),
        "price_stopped": None,
    }
    return Ledger(here.home).intend(**{**given, "host": host, "label": f"gpurig.x.y.{host}.1", **facts})


def test_every_command_says_first_what_may_still_bill(rig: Rig, stack: Stack) -> None:
    assert rig("status")[2] == ""
    intended(stack)
    for words in (["status"], ["offers"], ["runs"], ["nonsense"]):
        first = rig(*words)[2].splitlines()[0]
        assert first.startswith("Warning: vastai gpurig.x.y.z.1 may still bill ($0.41 an hour since ")
        assert first.endswith("UTC): `rig reap` looks and ends it.")


def test_what_somebody_works_on_is_not_warned_of(rig: Rig, stack: Stack) -> None:
    intended(stack)
    with records.host_lock(Stack("x", "y", stack.root, stack.home), "z"):
        assert rig("status")[2] == ""


def test_many_warnings_are_counted(rig: Rig, stack: Stack) -> None:
    for number in range(9):
        intended(stack, f"z{number}")
    lines = rig("status")[2].splitlines()
    assert (len(lines), lines[-1]) == (6, "Warning: so may 4 others.")


def test_a_damaged_ledger_is_told_and_stops_nothing(rig: Rig, stack: Stack) -> None:
    stack.home.mkdir(exist_ok=True)
    (stack.home / "ledger.sqlite").write_text("no database " * 100)
    code, _, err = rig("status")
    assert code == 0
    assert "the ledger cannot be used" in err.splitlines()[0]


# --- reap ------------------------------------------------------------------------------------------------------------


def test_reap_finds_nothing_where_every_machine_is_in_a_stack(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    vast.rent("somebody's own", offer=offer(50), body={}).listed_from = 0
    vast.rent("gpurig.unit.test.trainer.1", offer=offer(51), body={}).listed_from = 0  # not our exact mark
    code, out, _ = rig("reap", "--yes")
    assert (code, out) == (0, "Nothing is left over: every machine with our mark is in a stack.\n")
    assert len(vast.living()) == 3


def test_reap_looks_first_and_ends_with_yes(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    write(stack, trainer="", other="")
    rig("up", "--yes")
    kept = records.require(stack, "other").id
    records.remove(stack, "trainer")
    code, out, err = rig("reap")
    assert code == 0
    assert "gpurig.unit.test.trainer.1" in out
    assert "0.360" in out
    assert "`rig reap --yes` ends 1 of 1: $0.36 an hour." in err
    assert len(vast.living()) == 2
    assert rig("reap", "--yes")[0] == 0
    assert ids(vast) == [kept]
    assert [r.host for r in Ledger(stack.home).open_rentals()] == ["other"]


def test_reap_ends_one_too_many_and_not_the_recorded_one(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    (kept,) = vast.living()
    stack_mark = kept.mark
    Ledger(stack.home).adopt(
        extra := stray(vast, stack_mark), provider="vastai", label="gpurig.unit.test.trainer.1", project="unit", stack="test",
        host="trainer", generation=1, price=Decimal("0.4"), price_stopped=None, offer={},
    )  # fmt: skip
    (one,) = json.loads(rig("reap", "--json")[1])["left"]
    assert (one["id"], "one too many" in one["why"]) == (extra, True)
    rig("reap", "--yes")
    assert ids(vast) == [kept.id]
    assert records.require(stack, "trainer").id == kept.id


def test_reap_ends_anothers_machine_only_when_named(rig: Rig, stack: Stack, vast: Vastai) -> None:
    foreign = stray(vast, FOREIGN)
    code, out, _ = rig("reap", "--yes")
    assert code == 0
    assert "unknown here: perhaps another computer's" in out
    assert ids(vast) == [foreign]
    assert "`rig reap gpurig.other.prod.trainer.3 --yes`" in rig("reap")[2]
    assert rig("reap", "gpurig.other.prod.trainer.3")[0] == 0
    assert ids(vast) == [foreign]
    assert rig("reap", "gpurig.other.prod.trainer.3", "--yes")[0] == 0
    assert ids(vast) == []


def test_a_machine_of_a_lost_ledger_is_known_by_its_host_key(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    records.remove(stack, "trainer")
    (stack.home / "ledger.sqlite").unlink()
    (one,) = json.loads(rig("reap", "--json")[1])["left"]
    assert one["known_here"] is True
    rig("reap", "--yes")
    assert ids(vast) == []


def test_a_label_that_nothing_has_is_wrong_use(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    code, _, err = rig("reap", "gpurig.unit.test.trainer.1", "--yes")
    assert code == 2
    assert "not among what no stack has" in err
    assert len(vast.living()) == 1


def test_reap_leaves_alone_what_another_rig_works_on(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    records.remove(stack, "trainer")
    with records.host_lock(stack, "trainer"):
        code, out, err = rig("reap", "--yes")
        assert (code, "somebody works on it now" in out) == (0, True)
        assert "left alone: another `rig` works on trainer" in err
        assert rig("reap", "gpurig.unit.test.trainer.1", "--yes")[0] == 2
    assert len(vast.living()) == 1


def test_reap_closes_a_call_that_made_nothing(rig: Rig, stack: Stack, vast: Vastai) -> None:
    intended(stack)
    out = rig("reap")[1]
    assert "the call to rent it had no clear answer; it is not listed" in out
    assert Ledger(stack.home).open_rentals()
    assert rig("reap", "--yes")[0] == 0
    assert Ledger(stack.home).rentals()[0].state == "absent"
    assert rig("status")[2] == ""


def test_reap_ends_what_a_lost_call_made(rig: Rig, stack: Stack, vast: Vastai) -> None:
    intended(stack)
    stray(vast, "gpurig.x.y.z.1.0123456789ab")
    assert rig("reap", "--yes")[0] == 0
    assert vast.living() == []
    assert Ledger(stack.home).rentals()[0].state == "ended"


def test_reap_finishes_an_end_that_was_begun(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    (rental,) = Ledger(stack.home).open_rentals()
    Ledger(stack.home).note(rental.id, "ending", reason="interrupted")
    assert "its end was begun and never confirmed" in rig("reap")[1]
    assert rig("reap", "--yes")[0] == 0
    assert vast.living() == []
    assert records.load(stack) == {}
    assert Ledger(stack.home).open_rentals() == []


def test_a_broken_vendor_makes_reap_fail_but_hides_no_other(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    intended(stack)
    stray(vast, "gpurig.x.y.z.1.0123456789ab")
    intended(stack, "w", provider="runpod")
    monkeypatch.setenv("RUNPOD_API_KEY", "k")
    monkeypatch.setenv("GPURIG_RUNPOD_URL", "http://127.0.0.1:9")
    code, out, err = rig("reap", "--yes", "--json")
    data = json.loads(out)
    assert code == 1
    assert "127.0.0.1:9" in err
    assert set(data["problems"]) == {"runpod"}
    assert [(one["label"], one["done"]) for one in data["left"]] == [
        ("gpurig.x.y.w.1", ""),
        ("gpurig.x.y.z.1", "ended"),
    ]
    assert vast.living() == []
    assert [r.host for r in Ledger(stack.home).open_rentals()] == ["w"]


def test_reap_keeps_a_machine_with_results_unless_they_may_be_lost(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    runs.save(stack, replace(RUN, state="done", host="trainer", label=records.require(stack, "trainer").label))
    records.remove(stack, "trainer")
    code, _, err = rig("reap", "--yes")
    assert code == 1
    assert RUN.id in err
    assert len(vast.living()) == 1
    assert rig("reap", "--yes", "--discard")[0] == 0
    assert vast.living() == []


def test_an_end_that_the_vendor_refuses_is_told(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "RENTED_END_SECONDS", 30.0)
    intended(stack)
    stray(vast, "gpurig.x.y.z.1.0123456789ab")
    vast.faults = [Fault("end", "status", 403) for _ in range(1000)]
    code, _, err = rig("reap", "--yes")
    assert code == 1
    assert "gpurig.x.y.z.1" in err or "z:" in err
    assert Ledger(stack.home).open_rentals()[0].unsure


# --- down --all ------------------------------------------------------------------------------------------------------


def test_down_all_ends_every_host_of_a_stack_that_lost_its_records(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, a="", b="", c="")
    rig("up", "--yes")
    foreign = stray(vast, FOREIGN)
    (stack.dir / "hosts/a.json").write_text("{half")
    (stack.dir / "hosts/b.json").unlink()
    stack.file.write_text("broken: [")
    assert rig("down", "--yes")[0] == 1
    assert len(vast.living()) == 4
    code, out, err = rig("down", "--all", "--yes")
    assert (code, out) == (0, "Ended: a, b, c\n")
    assert ids(vast) == [foreign]
    assert "a.json" in err
    assert Ledger(stack.home).open_rentals() == []
    assert records.intents(stack) == {}
    assert rig("down", "--all", "--yes")[1] == "Stack test has no hosts, as far as can be told.\n"


def test_down_all_works_from_the_vendors_listing_alone(rig: Rig, stack: Stack, vast: Vastai) -> None:
    import shutil

    write(stack, a="", b="")
    rig("up", "--yes")
    shutil.rmtree(stack.home)
    stack.file.unlink()
    code, out, _ = rig("down", "--all", "--yes")
    assert (code, out) == (0, "Ended: a, b\n")
    assert vast.living() == []


def test_down_all_works_with_a_damaged_ledger(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, a="")
    rig("up", "--yes")
    (stack.home / "ledger.sqlite").write_text("no database " * 100)
    assert rig("down", "--all", "--yes")[1] == "Ended: a\n"
    assert vast.living() == []


def test_down_all_ends_what_it_can_and_tells_the_rest(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(stack, a="")
    rig("up", "--yes")
    intended(stack, "w", provider="runpod", project="unit", stack="test")
    code, out, err = rig("down", "--all", "--yes")
    assert (code, out) == (1, "Ended: a\n")
    assert "RUNPOD_API_KEY" in err
    assert vast.living() == []


def test_a_vendor_that_cannot_be_asked_keeps_no_other_vendors_machine(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, a="")
    rig("up", "--yes")
    intended(stack, "a", provider="runpod", project="unit", stack="test", label="gpurig.unit.test.a.1")
    code, out, err = rig("down", "--all", "--yes")
    assert (code, out) == (1, "Ended: none\n")
    assert "RUNPOD_API_KEY" in err
    assert vast.living() == []
    assert [r.provider for r in Ledger(stack.home).open_rentals()] == ["runpod"]


def test_down_all_keeps_what_holds_results_unless_they_may_be_lost(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, a="", b="")
    rig("up", "--yes")
    runs.save(stack, replace(RUN, host="a", label=records.require(stack, "a").label))
    code, out, err = rig("down", "--all", "--yes")
    assert (code, out) == (1, "Ended: b\n")
    assert RUN.id in err
    assert len(vast.living()) == 1
    assert rig("down", "--all", "--yes", "--discard")[0] == 0
    assert vast.living() == []


def test_down_all_goes_on_where_pulumi_cannot(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(stack, a="")
    rig("up", "--yes")

    def broken(*_: object, **__: object) -> None:
        raise RigError("the state is damaged")

    monkeypatch.setattr(pulumi_cli, "find", lambda: Path("/usr/bin/pulumi"))
    monkeypatch.setattr(pulumi_cli, "down", broken)
    code, out, err = rig("down", "--all", "--yes")
    assert (code, out) == (0, "Ended: a\n")
    assert "it goes on without: the state is damaged" in err
    assert vast.living() == []


def test_down_all_asks_first_and_takes_no_host(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, a="")
    rig("up", "--yes")
    code, _, err = rig("down", "--all")
    assert code == 2
    assert "End a (vastai)? Nobody can be asked here: say --yes." in err
    assert rig("down", "a", "--all", "--yes")[0] == 2
    assert len(vast.living()) == 1
