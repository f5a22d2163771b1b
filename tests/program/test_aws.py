"""An AWS host in Pulumi's program: what it registers, checked against EC2's service model, and how the life cycle takes it over.

Pulumi's engine, its AWS plugin and EC2 are simulated. Never run against Amazon.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pulumi
import pytest
from pulumi.output import UNKNOWN
from pulumi.runtime import config as pulumi_config
from pulumi.runtime import mocks

from gpurig import acceptance, budget, config, keys, lifecycle, program, pulumi_cli, reach, records
from gpurig.catalogue import ROOT
from gpurig.ledger import Ledger
from gpurig.providers import read_mark
from gpurig.providers.aws import address, search
from gpurig.providers.aws.provider import Provider
from gpurig.providers.aws.spec import Spec
from gpurig.stack import Stack
from tests.clients.simulated_aws import AMI, HOME, account, set_state, state
from tests.clients.time import faster
from tests.program.simulated_engine import GROUP, HOST, INSTANCE, KEY, Engine, Monitor

pytestmark = pytest.mark.filterwarnings(
    "ignore:aws[.]:DeprecationWarning"  # pulumi_aws imports its own old names
)

PROJECT, STACK = "mocked", "test"
OWN = "198.51.100.23/32"
ENTRY: dict[str, Any] = {"provider": "aws", "region": HOME, "gpu": "A10G", "max_price": 2, "image": AMI}
Run = Callable[..., Engine]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """The stack that the program is run for, with an account of its own at simulated AWS."""
    (tmp_path / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPURIG_HOME", str(tmp_path / "home"))
    faster(monkeypatch.setattr, 1000)
    monkeypatch.setattr(address, "own", lambda: OWN)
    monkeypatch.setattr(reach, "wait", lambda *_, **__: None)
    monkeypatch.setattr(acceptance, "check", lambda *_, **__: None)
    with account(monkeypatch):
        yield Stack(PROJECT, STACK, tmp_path, tmp_path / "home")


@pytest.fixture
def run(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `__main__.py` with one host `one`, which has these keys besides ENTRY's."""

    def made(
        *, preview: bool = False, capacity: bool = True, limit: dict[str, Any] | None = None, **more: Any
    ) -> Engine:
        values = {"gpurig:hosts": {"one": {**ENTRY, **more}}} | ({"gpurig:budget": limit} if limit else {})
        engine = Engine()
        engine.makes = capacity and not preview
        monkeypatch.setattr(pulumi, "export", lambda *_: None)
        mocks.set_mocks(engine, project=PROJECT, stack=STACK, preview=preview, monitor=Monitor(engine))
        pulumi_config.set_all_config({key: json.dumps(value) for key, value in values.items()}, [])
        pulumi.runtime.test(lambda: runpy.run_path(str(ROOT / "__main__.py")) and None)()  # type: ignore[no-untyped-call]  # Pulumi's own
        return engine

    return made


def tags(engine: Engine) -> dict[str, str]:
    found: dict[str, str] = engine.inputs[INSTANCE, "one"]["tags"]
    return found


def ensure(stack: Stack, **more: Any) -> Any:
    """What the host's resource does then, in the provider's process."""
    return lifecycle.ensure(stack, "one", Spec.model_validate({**ENTRY, **more}), report=print)


def without_default_vpc() -> None:
    """As accounts are whose owner deleted it."""
    ec2 = boto3.client("ec2", region_name=HOME)
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    for vpc in ec2.describe_vpcs()["Vpcs"]:
        ec2.delete_vpc(VpcId=vpc["VpcId"])


def sources(engine: Engine) -> list[str]:
    """Who may connect to SSH."""
    (rule,) = engine.calls["AuthorizeSecurityGroupIngress"]["IpPermissions"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 22, 22)
    return [*(r["CidrIp"] for r in rule["IpRanges"]), *(r["CidrIpv6"] for r in rule["Ipv6Ranges"])]


def test_a_host_stands_on_key_security_group_and_instance(run: Run) -> None:
    engine = run()
    assert set(engine.inputs) == {(kind, "one") for kind in (KEY, GROUP, INSTANCE, HOST)}
    instance = engine.calls["RunInstances"]
    assert (instance["InstanceType"], instance["ImageId"]) == ("g5.xlarge", AMI)
    assert instance["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert instance["MetadataOptions"] == {"HttpTokens": "required"}
    assert instance["BlockDeviceMappings"][0]["Ebs"] == {
        "VolumeSize": 50,
        "VolumeType": "gp3",
        "DeleteOnTermination": True,
    }
    assert "InstanceMarketOptions" not in instance
    assert state(engine.inputs[HOST, "one"]["machine"]) == "running"


def test_the_host_depends_on_its_instance_by_a_property(run: Run) -> None:
    """So Pulumi ends the host, which asks the destroy gate, before it replaces or deletes the instance."""
    engine = run()
    (urn,) = engine.requests[HOST, "one"].propertyDependencies["machine"].urns
    assert urn.endswith(f"{INSTANCE}::one")


def test_a_living_instance_is_replaced_by_another_mark_and_changed_by_nothing_else(run: Run) -> None:
    request = run().requests[INSTANCE, "one"]
    assert list(request.replaceOnChanges) == ["tags.gpurig"]
    assert request.deleteBeforeReplace
    assert {"ami", "userData", "instanceType", "keyName", "instanceMarketOptions", "rootBlockDevice"} <= set(
        request.ignoreChanges
    )
    assert "tags" not in request.ignoreChanges
    assert "vpcSecurityGroupIds" not in request.ignoreChanges


def test_tags_carry_the_mark_its_parts_and_the_price(run: Run, stack: Stack) -> None:
    found = tags(run())
    owner, generation, fingerprint = read_mark(found["gpurig"]) or pytest.fail("no mark")
    assert (owner.project, owner.stack, owner.host, generation) == (PROJECT, STACK, "one", 1)
    assert fingerprint == Spec.model_validate(ENTRY).fingerprint()
    assert (found["gpurig-project"], found["gpurig-stack"], found["gpurig-host"]) == (PROJECT, STACK, "one")
    (machine,) = Provider().everything()
    assert machine.price == Decimal(found["gpurig-price"]) == Decimal("1.0165")


@pytest.mark.parametrize("written", [None, "203.0.113.0/24", "2001:db8::/48", "0.0.0.0/0"])
def test_only_who_is_written_may_connect_else_this_computer_alone(run: Run, written: str | None) -> None:
    more = {"allow_from": written} if written else {}
    assert sources(run(**more)) == [written or OWN]


def test_user_data_lets_us_in_is_kept_secret_and_has_no_key_of_the_account(
    run: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-leave-this-computer")
    engine = run()
    text = engine.inputs[INSTANCE, "one"]["userData"]
    assert keys.login_key(stack.home).with_suffix(".pub").read_text().strip() in text
    assert keys.public_half(keys.host_key(stack, "one", 1)) in text
    request = engine.requests[INSTANCE, "one"]
    assert list(request.additionalSecretOutputs) == ["userData"]
    assert "4dabf18193072939515e22adb298388d" in str(request.object.fields["userData"])  # Pulumi's mark of a secret
    assert "never-leave-this-computer" not in str(engine.inputs)
    assert "never-leave-this-computer" not in str(engine.calls)


def test_a_spot_instance_is_ended_when_it_is_taken_or_too_dear(run: Run) -> None:
    call = run(interruptible=True).calls["RunInstances"]
    assert call["InstanceMarketOptions"]["MarketType"] == "spot"
    assert call["InstanceMarketOptions"]["SpotOptions"] == {
        "SpotInstanceType": "one-time",
        "InstanceInterruptionBehavior": "terminate",
        "MaxPrice": "1.9895",  # of 2, less disk and address
    }
    assert call["Placement"]["AvailabilityZone"].startswith(HOME)


def test_the_instance_is_entered_before_it_is_made_and_once(
    run: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(preview=True)
    assert not Ledger(stack.home).file.exists()
    assert records.intents(stack) == {}
    checked: list[Any] = []
    monkeypatch.setattr(budget, "check", lambda *rest: checked.append(rest))
    run(capacity=False)
    engine = run()
    assert len(checked) == 1
    (rental,) = Ledger(stack.home).open_rentals()
    assert (rental.state, rental.price, rental.generation) == ("intended", Decimal("1.0165"), 1)
    assert records.intents(stack) == {"one": ("aws",)}
    assert rental.offer["data"]["type"] == "g5.xlarge"
    assert rental.label == tags(engine)["gpurig"].rpartition(".")[0]


def test_the_life_cycle_takes_it_over_and_ends_it(run: Run, stack: Stack) -> None:
    machine = run().inputs[HOST, "one"]["machine"]
    host = ensure(stack)
    assert (host.id, host.generation) == (machine, 1)
    (rental,) = Ledger(stack.home).rentals()
    assert (rental.machine, rental.state, rental.price) == (machine, "accepted", Decimal("1.0165"))
    lifecycle.end(stack, "one", (), report=print)
    assert state(machine) == "terminated"
    assert Ledger(stack.home).open_rentals() == []


def test_another_run_changes_nothing_and_asks_no_price(run: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run()
    ensure(stack)
    monkeypatch.setattr(search, "terms", lambda _: pytest.fail("a price was asked"))
    assert run().inputs == before.inputs
    assert records.intents(stack) == {}


def test_a_fixed_key_makes_another_instance(run: Run, stack: Stack) -> None:
    before = run()
    ensure(stack)
    after = run(disk=100)
    assert tags(after)["gpurig"] != tags(before)["gpurig"]
    assert ".one.2." in tags(after)["gpurig"]
    assert after.inputs[KEY, "one"] == before.inputs[KEY, "one"]
    (rental,) = Ledger(stack.home).open_rentals()
    assert rental.generation == 1  # the new one is entered when it is there


def test_an_instance_that_is_gone_is_made_again(run: Run, stack: Stack) -> None:
    machine = run().inputs[HOST, "one"]["machine"]
    ensure(stack)
    set_state(machine, "terminated", 48)
    engine = run()
    assert ".one.2." in tags(engine)["gpurig"]
    lifecycle.end(stack, "one", (), report=print)  # what the host's resource does first
    assert state(engine.inputs[HOST, "one"]["machine"]) == "terminated"


def test_a_rebuild_ends_the_instance_and_lets_pulumi_make_another(
    run: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = run().inputs[HOST, "one"]["machine"]
    ensure(stack)
    worked: list[tuple[Any, ...]] = []

    class Cli:
        def work(self, *arguments: str) -> None:
            worked.append((*arguments, state(machine)))

    monkeypatch.setattr(pulumi_cli, "_ready", lambda *_: Cli())
    settings = config.parse({"hosts": {"one": ENTRY}}, "test")
    pulumi_cli.replace(stack, settings, "one", report=print)
    assert worked == [("up", "--target=**::one", "--yes", "--skip-preview", "terminated")]
    assert ".one.2." in tags(run())["gpurig"]
    (rental,) = Ledger(stack.home).rentals()
    assert rental.state == "ended"


def test_a_host_that_is_at_another_provider_is_ended_first(run: Run, stack: Stack) -> None:
    run()
    records.save(stack, replace(ensure(stack), provider="vastai"))
    with pytest.raises(pulumi.RunError, match=r"provider: this host is at vastai; end it \(`rig down one`\)"):
        run()


def test_what_costs_too_much_is_refused_and_nothing_entered(run: Run, stack: Stack) -> None:
    with pytest.raises(
        pulumi.RunError, match=r"Pulumi.test.yaml: gpurig:hosts.one: max_price: nothing under \$1 an hour"
    ):
        run(max_price=1)
    with pytest.raises(pulumi.RunError, match=r"gpurig:hosts.one: Pulumi.test.yaml: gpurig:budget.total: \$0.5"):
        run(limit={"total": 0.5})
    assert not Ledger(stack.home).file.exists()
    assert Provider().everything() == []


def test_without_a_default_network_nothing_is_registered_and_the_key_to_write_is_told(run: Run, stack: Stack) -> None:
    without_default_vpc()
    for preview in (True, False):
        with pytest.raises(
            pulumi.RunError, match=r"gpurig:hosts.one: subnet: us-east-1 has no default VPC .* write the id"
        ):
            run(preview=preview)
    with pytest.raises(pulumi.RunError, match=r"gpurig:hosts.one: subnet: there is no subnet-0bad in us-east-1"):
        run(subnet="subnet-0bad")
    assert not Ledger(stack.home).file.exists()
    assert Provider().everything() == []


@pytest.mark.parametrize("spot", [False, True])
def test_a_subnet_that_is_written_decides_network_and_zone(run: Run, stack: Stack, spot: bool) -> None:
    without_default_vpc()
    ec2 = boto3.client("ec2", region_name=HOME)
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24", AvailabilityZone=f"{HOME}c")["Subnet"]["SubnetId"]
    wanted = {"subnet": subnet, "interruptible": spot}
    first = run(**wanted)
    assert first.calls["CreateSecurityGroup"]["VpcId"] == vpc
    assert first.calls["RunInstances"]["NetworkInterfaces"][0]["SubnetId"] == subnet
    assert "Placement" not in first.calls["RunInstances"]
    (rental,) = Ledger(stack.home).open_rentals()
    assert rental.offer["data"]["zone"] == (f"{HOME}c" if spot else "")
    ensure(stack, **wanted)
    assert run(**wanted).inputs == first.inputs


def test_the_host_counts_as_one_to_replace_while_its_instance_is_unknown(run: Run, stack: Stack) -> None:
    machine = run().inputs[HOST, "one"]["machine"]
    host = ensure(stack)
    text = json.dumps(Spec.model_validate(ENTRY).normalised(), sort_keys=True)
    olds = {
        "project": PROJECT,
        "stack": STACK,
        "name": "one",
        "machine": machine,
        "spec": text,
        "record": json.dumps(host.to_dict()),
    }
    provider = program.HostProvider()
    same = provider.diff("one", olds, olds)
    assert (same.changes, same.replaces) == (False, [])
    asked = provider.diff("one", olds, {**olds, "machine": UNKNOWN})
    assert (asked.changes, asked.replaces, asked.delete_before_replace) == (True, ["machine"], True)
    another = provider.diff("one", olds, {**olds, "machine": f"{HOME}/i-0123456789abcdef0"})
    assert (another.changes, another.replaces) == (True, [])
    assert (provider.update("one", olds, olds).outs or {})["machine"] == machine


def test_a_stack_without_aws_imports_nothing_of_it(stack: Stack) -> None:
    code = f"""
import json, runpy, sys, pulumi
from pulumi.runtime import config, mocks
class Engine(mocks.Mocks):
    def new_resource(self, args): return args.name, {{**args.inputs, "record": "{{}}"}}
    def call(self, args): return {{}}
pulumi.export = lambda *_: None
mocks.set_mocks(Engine(), project="{PROJECT}", stack="{STACK}", preview=True)
config.set_all_config({{"gpurig:hosts": json.dumps({{"a": {{"provider": "container"}}}})}}, [])
pulumi.runtime.test(lambda: runpy.run_path({str(ROOT / "__main__.py")!r}) and None)()
print(*sorted({{"boto3", "botocore", "pulumi_aws"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=stack.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split() == []
