"""`rig offers` and `rig estimate` against simulated Vast.ai."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from gpurig import offers, pulumi_process
from gpurig.stack import Stack
from tests.clients.commands import Rig, write
from tests.clients.fake_vastai import Vastai, offer


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
        " ".join(heads.split())
        == "PROVIDER GPU COUNT MEMORY CPU RAM DISK REGION $/H $/H STOPPED KIND RELIABILITY LINK MACHINE"
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
        offer(3, inet_down=20.0),
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
        "--link",
        "100",
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


def test_what_the_table_calls_a_machine_can_be_excluded(rig: Rig, stack: Stack, vast: Vastai) -> None:
    first = rig("offers", "--gpu", "RTX 4090")[1].splitlines()[1].split()[-1]
    write(stack, trainer=f"exclude: [vastai/{first}]")
    found = json.loads(rig("offers", "--host", "trainer", "--json")[1])["offers"]
    assert first not in {one["machine"] for one in found}
    assert "or `exclude` names it" in rig("offers", "--host", "trainer", "--explain")[1]
    (step,) = json.loads(rig("preview", "--json")[1])
    assert step["offer"]["machine"] == found[0]["machine"] != first
    write(stack, trainer="exclude: [vastia/12345]")
    assert (
        "gpurig:hosts.trainer.exclude.0: found 'vastia/12345': no such vendor (did you mean 'vastai'?)"
        in rig("preview")[2]
    )


@pytest.mark.parametrize(("columns", "there"), [(80, False), (300, True)])
def test_the_machine_is_in_the_table_where_there_is_room(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, columns: int, there: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert ("MACHINE" in rig("offers", "--gpu", "RTX 4090")[1]) is there


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
