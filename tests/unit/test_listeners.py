"""Listening sockets of exposed services, and of those that have no login."""

from __future__ import annotations

import pytest

from gpurig import listeners


def undeclared(line: str, *, exposed: tuple[int, ...] = (), private: tuple[int, ...] = ()) -> bool:
    found = listeners.parse(line)
    return bool(listeners.undeclared(found, ssh_ports=[22], services={}, declared=(), exposed=exposed, private=private))


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ('tcp LISTEN 0 5 0.0.0.0:18888 0.0.0.0:* users:(("haproxy",pid=1,fd=3))', True),
        ("tcp LISTEN 0 5 0.0.0.0:18888 0.0.0.0:*", True),
        ('tcp LISTEN 0 5 0.0.0.0:18888 0.0.0.0:* users:(("python3",pid=1,fd=3))', False),
        ('tcp LISTEN 0 5 0.0.0.0:15000 0.0.0.0:* users:(("haproxy",pid=1,fd=3))', False),
        ('udp UNCONN 0 5 0.0.0.0:18888 0.0.0.0:* users:(("haproxy",pid=1,fd=3))', False),
    ],
)
def test_only_haproxy_at_the_port_of_an_exposed_service_is_accounted_for(line: str, *, fine: bool) -> None:
    assert undeclared(line, exposed=(18888,)) is not fine
    assert undeclared(line), "nothing is where nothing is exposed"


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ('tcp LISTEN 0 5 127.0.0.1:40001 0.0.0.0:* users:(("python",pid=7,fd=3))', True),
        ('tcp LISTEN 0 5 127.0.0.1:40001 0.0.0.0:* users:(("python",pid=8,fd=3))', False),
        ('tcp LISTEN 0 5 0.0.0.0:40001 0.0.0.0:* users:(("python",pid=7,fd=3))', False),
    ],
)
def test_a_service_without_a_login_may_listen_on_loopback_at_most(line: str, *, fine: bool) -> None:
    assert undeclared(line, private=(7,)) is not fine
