"""Pulumi's engine and the AWS plugin, simulated: what the program registers is made at moto's simulated EC2.

Each resource's inputs are turned into the parameters of the EC2 call that the plugin makes from them, and checked against botocore's
service model: names, types, and allowed values. An input that is not mapped here is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import boto3
import botocore.session
from botocore.model import ListShape, Shape, StructureShape
from botocore.validate import ParamValidator
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2

INSTANCE, GROUP, KEY = "aws:ec2/instance:Instance", "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/keyPair:KeyPair"
HOST = "pulumi-python:dynamic/gpurig:Host"


class Engine(mocks.Mocks):
    """Makes what the program registers. inputs, requests: by type and name, as the plugin and as the engine see them.

    calls: the newest call of each operation of EC2. makes: instances are made; not in a preview, nor where AWS has none to give.
    """

    def __init__(self) -> None:
        self.inputs: dict[tuple[str, str], dict[str, Any]] = {}
        self.requests: dict[tuple[str, str], Any] = {}
        self.calls: dict[str, dict[str, Any]] = {}
        self.makes = True

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = {name: _plain(value) for name, value in args.inputs.items()}
        self.inputs[args.typ, args.name] = inputs
        if args.typ == HOST:
            return args.name, {**inputs, "record": json.dumps({"schema": 1, "name": args.name})}
        make = {INSTANCE: self._instance, GROUP: self._group, KEY: self._key}[args.typ]
        rest = dict(inputs)
        identifier, outputs = make(rest, boto3.client("ec2", region_name=rest.pop("region")), args.name)
        assert not rest, f"{args.typ}: {sorted(rest)} are not mapped to a call of EC2"
        return identifier, inputs | outputs

    def call(self, args: mocks.MockCallArgs) -> NoReturn:
        raise AssertionError(f"the program calls no function, but {args.token}")

    def _key(self, rest: dict[str, Any], ec2: Any, name: str) -> tuple[str, dict[str, Any]]:
        made = f"{name}-1a2b3c4"
        self._checked("ImportKeyPair", {
            "KeyName": made, "PublicKeyMaterial": rest.pop("publicKey").encode(), "TagSpecifications": _tagged("key-pair", rest),
        })  # fmt: skip
        return made, {"keyName": made}

    def _group(self, rest: dict[str, Any], ec2: Any, name: str) -> tuple[str, dict[str, Any]]:
        call = {
            "GroupName": f"{name}-5d6e7f8",
            "Description": rest.pop("description"),
            "TagSpecifications": _tagged("security-group", rest),
            **({"VpcId": rest.pop("vpcId")} if "vpcId" in rest else {}),
        }
        self._checked("CreateSecurityGroup", call)
        found = [g for g in ec2.describe_security_groups()["SecurityGroups"] if g["GroupName"] == call["GroupName"]]
        group = found[0]["GroupId"] if found else ec2.create_security_group(**call)["GroupId"]
        self._checked(
            "AuthorizeSecurityGroupIngress",
            {"GroupId": group, "IpPermissions": [_rule(r) for r in rest.pop("ingress")]},
        )
        self._checked(
            "AuthorizeSecurityGroupEgress", {"GroupId": group, "IpPermissions": [_rule(r) for r in rest.pop("egress")]}
        )
        return group, {}

    def _instance(self, rest: dict[str, Any], ec2: Any, name: str) -> tuple[str, dict[str, Any]]:
        disk, metadata = rest.pop("rootBlockDevice"), rest.pop("metadataOptions")
        call: dict[str, Any] = {
            "ImageId": rest.pop("ami"), "InstanceType": rest.pop("instanceType"), "KeyName": rest.pop("keyName"),
            "MinCount": 1, "MaxCount": 1, "UserData": rest.pop("userData"),
            "InstanceInitiatedShutdownBehavior": rest.pop("instanceInitiatedShutdownBehavior"),
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {
                "VolumeSize": int(disk["volumeSize"]), "VolumeType": disk["volumeType"],
                "DeleteOnTermination": disk["deleteOnTermination"],
            }}],
            "MetadataOptions": {"HttpTokens": metadata.pop("httpTokens"), **metadata},
            "NetworkInterfaces": [{
                "DeviceIndex": 0, "AssociatePublicIpAddress": rest.pop("associatePublicIpAddress"),
                "Groups": rest.pop("vpcSecurityGroupIds"),
            }],
            "TagSpecifications": [*_tagged("instance", rest), *_tagged("volume", disk)],
        }  # fmt: skip
        if "subnetId" in rest:
            call["NetworkInterfaces"][0]["SubnetId"] = rest.pop("subnetId")
        if "availabilityZone" in rest:
            call["Placement"] = {"AvailabilityZone": rest.pop("availabilityZone")}
        market = rest.pop("instanceMarketOptions", None)
        if market:
            options = {key[0].upper() + key[1:]: value for key, value in market["spotOptions"].items()}
            call["InstanceMarketOptions"] = {"MarketType": market["marketType"], "SpotOptions": options}
        self._checked("RunInstances", call)
        there = self._with_mark(ec2, call)
        if there or not self.makes:
            return there, {}
        return ec2.run_instances(**call)["Instances"][0]["InstanceId"], {}

    def _with_mark(self, ec2: Any, call: Mapping[str, Any]) -> str:
        """The instance that an earlier run of the program made, as Pulumi's state has it."""
        mark = {tag["Key"]: tag["Value"] for tag in call["TagSpecifications"][0]["Tags"]}["gpurig"]
        filters = [
            {"Name": "tag:gpurig", "Values": [mark]},
            {"Name": "instance-state-name", "Values": ["running", "stopped"]},
        ]
        found = [i for group in ec2.describe_instances(Filters=filters)["Reservations"] for i in group["Instances"]]
        return str(found[0]["InstanceId"]) if found else ""

    def _checked(self, operation: str, call: dict[str, Any]) -> None:
        shape = _MODEL.operation_model(operation).input_shape
        report = ParamValidator().validate(call, shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        _check_values(operation, call, shape)
        self.calls[operation] = call


class Monitor(mocks.MockMonitor):
    """Keeps what the engine is told about each resource."""

    def RegisterResource(self, request: Any) -> resource_pb2.RegisterResourceResponse:  # noqa: N802 (Pulumi's name)
        engine: Any = self.mocks
        engine.requests[request.type, request.name] = request
        return super().RegisterResource(request)  # type: ignore[no-untyped-call, no-any-return]  # Pulumi's own


_MODEL = botocore.session.Session().get_service_model("ec2")


def _plain(value: Any) -> Any:
    return rpc.unwrap_rpc_secret(value) if rpc.is_rpc_secret(value) else value


def _tagged(kind: str, rest: dict[str, Any]) -> list[dict[str, Any]]:
    tags = [{"Key": key, "Value": value} for key, value in rest.pop("tags").items()]
    assert all(len(tag["Key"]) <= 128 and len(tag["Value"]) <= 256 for tag in tags)  # EC2's limits
    return [{"ResourceType": kind, "Tags": tags}]


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "IpProtocol": rule["protocol"], "FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"]),
        "IpRanges": [{"CidrIp": cidr} for cidr in rule.get("cidrBlocks", ())],
        "Ipv6Ranges": [{"CidrIpv6": cidr} for cidr in rule.get("ipv6CidrBlocks", ())],
    }  # fmt: skip


def _check_values(where: str, value: Any, shape: Shape) -> None:
    """Refuse what is not among a shape's allowed values, which ParamValidator does not look at."""
    if isinstance(shape, StructureShape):
        for name, part in value.items():
            _check_values(f"{where}.{name}", part, shape.members[name])
    elif isinstance(shape, ListShape):
        for part in value:
            _check_values(f"{where}[]", part, shape.member)
    elif getattr(shape, "enum", None):
        assert value in shape.enum, f"{where}: {value!r} is not one of {shape.enum}"
