"""Ranges of addresses from which a port may be reached, as we write them and as Windows gives them back."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

LOCAL = "LocalSubnet"
"""Windows' word for every network to which the PC itself is connected; networks behind a router are not in it."""

ANY = "any"


def mistake(text: str) -> str:
    """Why this is no range that a port may be opened to; empty where it is one."""
    if text.lower() == LOCAL.lower():
        return ""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"{text!r} is neither {LOCAL} nor a network such as 192.168.1.0/24"
    if network.prefixlen == 0:
        return f"{text} is every address there is: name the networks that need it, such as 192.168.1.0/24"
    if str(ipaddress.ip_interface(text).ip) != str(network.network_address):
        return (
            f"{text} is one address with the size of a network: write {network} for the network, or the address alone"
        )
    return ""


def everybody(text: str) -> bool:
    """Whether a firewall rule's range is every address, however Windows writes it."""
    return text.lower() in {ANY, "*", "internet"} or canonical(text) in {"0.0.0.0/0", "::/0"}


def same(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether two lists mean the same addresses to Windows: order, case and 192.168.1.0/255.255.255.0 do not matter."""
    return {canonical(one) for one in some} == {canonical(one) for one in others}


def canonical(text: str) -> str:
    """One spelling for every range; what we do not know stays as it is, in lower case."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return text.lower()


def contain(ranges: Sequence[str], client: str, connected: Mapping[str, Sequence[str]]) -> bool | None:
    """Whether an address lies in one of the ranges; None where that cannot be said. connected: interface → address/prefix."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    local = any(one.lower() == LOCAL.lower() for one in ranges)
    if address.is_loopback or (local and address.is_link_local):
        return True
    networks = [ipaddress.ip_network(one) for one in ranges if one.lower() != LOCAL.lower()]
    if local:
        networks += [ipaddress.ip_interface(one).network for there in connected.values() for one in there]
    if any(address.version == network.version and address in network for network in networks):
        return True
    return None if local and address.version == 6 else False  # noqa: PLR2004 (IPv6)
