"""An AWS host's machine in Pulumi's program: key pair, security group, instance. Imported only where a stack has one.

What a host is made from is chosen here, against `max_price` and the budget, and entered before Pulumi makes it; the life cycle then
finds it by its tag. A living instance is changed by nothing but its security group: what asks for another machine changes its mark,
and so replaces it, after the host on it has passed the destroy gate and ended (see gpurig.program.HostResource).

Never run against Amazon; see the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from gpurig import boot, budget, offers, orders, records
from gpurig.errors import ConfigError
from gpurig.ledger import Ledger
from gpurig.offers import Offer
from gpurig.providers import Machine, Order, Owner
from gpurig.providers.aws import address, client, network, provider, search, types
from gpurig.providers.aws.network import Network
from gpurig.providers.aws.spec import Spec
from gpurig.stack import Stack, locked

STAYS = ("pending", "running", "stopping", "stopped")
"""States of an instance that can go on being a host."""

DECIDED = [
    "ami", "associate_public_ip_address", "availability_zone", "instance_market_options", "instance_type", "key_name",
    "metadata_options", "root_block_device", "subnet_id", "user_data",
]  # fmt: skip
"""What is decided when an instance is made. Pulumi uses the new values only where it makes another one."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the instance is, or is to be. disk: GB; tags: what it costs, for the listing; network: empty for the default one."""

    generation: int
    image: str
    type: str
    zone: str
    disk: int
    tags: dict[str, str]
    network: Network


def machine(stack: Stack, name: str, spec: Spec) -> pulumi.Output[str]:
    """Register what a host stands on. Returns the machine's id as `Provider` lists it.

    Raises ConfigError where there is no such instance to be had, or none that may be paid.
    """
    owner = Owner(stack.project, stack.name, name)
    recorded = records.get(stack, name)
    if (
        recorded and recorded.provider != spec.provider
    ):  # Pulumi would make the instance first, and end it with the old host
        raise ConfigError(f"provider: this host is at {recorded.provider}; end it (`rig down {name}`), then `rig up`.")
    listed = provider.Provider().machines(stack, owner)
    wanted = spec.fingerprint()
    living = next((m for m in listed if m.fingerprint == wanted and m.state in STAYS), None)
    plan = _as_it_is(living, spec) if living else _anew(stack, owner, spec, listed)
    instance = _registered(name, spec, plan, orders.order(stack, owner, spec, plan.generation))
    return pulumi.Output.concat(spec.region, "/", instance.id)


def _registered(name: str, spec: Spec, plan: _Plan, order: Order) -> aws.ec2.Instance:
    owner = order.owner
    parts = {
        "Name": f"{owner.project}-{owner.stack}-{owner.host}",
        f"{client.TAG}-project": owner.project,
        f"{client.TAG}-stack": owner.stack,
        f"{client.TAG}-host": owner.host,
    }
    key = aws.ec2.KeyPair(
        name,
        region=spec.region,
        public_key=order.public_key,
        tags=parts,
        opts=pulumi.ResourceOptions(ignore_changes=["public_key"]),
    )
    source = spec.allow_from or address.own()
    group = aws.ec2.SecurityGroup(
        name,
        region=spec.region,
        description="SSH from one range of addresses",
        vpc_id=plan.network.vpc or None,
        ingress=[
            aws.ec2.SecurityGroupIngressArgs(
                description="SSH",
                protocol="tcp",
                from_port=22,
                to_port=22,
                cidr_blocks=None if ":" in source else [source],
                ipv6_cidr_blocks=[source] if ":" in source else None,
            )
        ],
        egress=[
            aws.ec2.SecurityGroupEgressArgs(
                protocol="-1", from_port=0, to_port=0, cidr_blocks=["0.0.0.0/0"], ipv6_cidr_blocks=["::/0"]
            )
        ],
        tags=parts,
    )
    return aws.ec2.Instance(
        name,
        region=spec.region,
        ami=plan.image,
        instance_type=plan.type,
        key_name=key.key_name,
        vpc_security_group_ids=[group.id],
        subnet_id=plan.network.subnet or None,
        availability_zone=None if plan.network.subnet else plan.zone or None,
        associate_public_ip_address=True,
        root_block_device={
            "volume_size": plan.disk,
            "volume_type": "gp3",
            "delete_on_termination": True,
            "tags": parts,
        },
        metadata_options={"http_tokens": "required"},
        user_data=pulumi.Output.secret(boot.cloud_init(order, user=provider.USER)),
        instance_initiated_shutdown_behavior="terminate",
        instance_market_options=_spot(spec, plan) if spec.interruptible else None,
        tags={client.TAG: order.mark, **plan.tags, **parts},
        opts=pulumi.ResourceOptions(
            ignore_changes=DECIDED,
            replace_on_changes=[f"tags.{client.TAG}"],
            delete_before_replace=True,
            additional_secret_outputs=["user_data"],
        ),
    )


def _spot(spec: Spec, plan: _Plan) -> aws.ec2.InstanceInstanceMarketOptionsArgs:
    """A spot instance that AWS ends, not stops, when it wants it back, or when it costs more than may be paid."""
    besides = types.disk(plan.disk, spec.region) + types.ADDRESS
    return aws.ec2.InstanceInstanceMarketOptionsArgs(
        market_type="spot",
        spot_options=aws.ec2.InstanceInstanceMarketOptionsSpotOptionsArgs(
            spot_instance_type="one-time",
            instance_interruption_behavior="terminate",
            max_price=f"{spec.max_price - besides:.4f}",
        ),
    )


def _as_it_is(living: Machine, spec: Spec) -> _Plan:
    """A living instance, described so that nothing of it is to change."""
    line = living.data
    tags = {tag["Key"]: tag["Value"] for tag in line["Tags"] if tag["Key"] in (provider.PRICE, provider.STOPPED)}
    zone = line["Placement"]["AvailabilityZone"] if spec.interruptible else ""
    there = Network(line["SubnetId"], line["VpcId"], zone) if spec.subnet else Network()
    return _Plan(living.generation, line["ImageId"], line["InstanceType"], zone, spec.disk, tags, there)


def _anew(stack: Stack, owner: Owner, spec: Spec, listed: Sequence[Machine]) -> _Plan:
    """A new instance at today's prices; not in a preview, it is entered that it may be there from now on."""
    there = network.find(spec.region, spec.subnet)
    terms = search.terms(spec, there.zone)
    recorded = records.get(stack, owner.host)
    used = [m.generation for m in listed] + ([recorded.generation] if recorded else [])
    generation = max(records.generation(stack, owner.host), 1 + max(used, default=0))
    offer, label = terms.offer, owner.label(generation)
    pulumi.log.info(
        f"{owner.host}: {offer.count} × {offer.gpu} at aws ({offer.id}) for ${offer.price:.3f} an hour "
        f"(${offer.price * offers.DAY:.2f} a day), after the {offer.data['source']}"
    )
    with locked(stack.home / "locks" / "budget", wait=True, busy=""):
        entered = Ledger(stack.home).of_host(owner.project, owner.stack, owner.host)
        if not any(rental.label == label for rental in entered):
            budget.check(stack, offer.price)
            if not pulumi.runtime.is_dry_run():
                _intend(stack, owner, generation, offer, first=generation == 1 and not entered)
    tags = {provider.PRICE: f"{offer.price:f}"}
    if offer.stopped is not None:
        tags[provider.STOPPED] = f"{offer.stopped:f}"
    return _Plan(generation, terms.image, str(offer.data["type"]), str(offer.data["zone"]), terms.disk, tags, there)


def _intend(stack: Stack, owner: Owner, generation: int, offer: Offer, *, first: bool) -> None:
    """Note that this instance may be there from now on.

    first: the host never had a machine. Else Pulumi ends what it has of it first, which settles all that the ledger has of this host, so
    that an entry now would count as a call that made nothing; the life cycle enters the instance when it finds it, at its tag's price.
    """
    noted = records.intents(stack).get(owner.host, ())
    records.intend(stack, owner.host, dict.fromkeys((*noted, "aws")))
    if first:
        Ledger(stack.home).intend(
            provider="aws",
            label=owner.label(generation),
            project=owner.project,
            stack=owner.stack,
            host=owner.host,
            generation=generation,
            price=offer.price,
            price_stopped=offer.stopped,
            offer=offer.to_dict(),
        )
