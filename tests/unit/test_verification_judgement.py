"""What the checks decide by: thresholds, an SSH handshake, listening sockets, a lock."""

from __future__ import annotations

import math

import pytest

from gpurig import handshake, listeners, lockfile
from gpurig.listeners import Listener
from gpurig.verdict import Verdict, at_least, at_most, overall

REFUSED = """\
debug2: KEX algorithms: curve25519-sha256,ext-info-c
debug2: peer server KEXINIT proposal
debug2: KEX algorithms: sntrup761x25519-sha512@openssh.com,curve25519-sha256,ext-info-s,kex-strict-s-v00@openssh.com
debug2: host key algorithms: ssh-ed25519,rsa-sha2-512
debug2: ciphers ctos: aes256-ctr
debug2: ciphers stoc: chacha20-poly1305@openssh.com,aes256-gcm@openssh.com
debug2: MACs ctos: hmac-sha2-256-etm@openssh.com
debug2: MACs stoc: hmac-sha2-512-etm@openssh.com
debug1: Authentications that can continue: publickey
debug1: No more authentication methods to try.
dev@192.0.2.1: Permission denied (publickey).
"""

ASKED = REFUSED.replace(
    "debug1: No more",
    "debug1: Next authentication method: keyboard-interactive\ndebug1: Next authentication method: password\ndebug1: No more",
)

SOCKETS = """\
udp UNCONN 0 0      127.0.0.53%lo:53   0.0.0.0:* users:(("systemd-resolve",pid=9,fd=13))
udp UNCONN 0 0      10.0.0.5%eth0:68   0.0.0.0:* users:(("systemd-network",pid=8,fd=20))
tcp LISTEN 0 128          0.0.0.0:22   0.0.0.0:* users:(("sshd",pid=33,fd=3))
tcp LISTEN 0 128             [::]:22      [::]:* users:(("sshd",pid=33,fd=4))
tcp LISTEN 0 128        127.0.0.1:8888 0.0.0.0:* users:(("jupyter-lab",pid=70,fd=6))
"""


@pytest.mark.parametrize(
    ("value", "verdict"), [(50, "PASS"), (10, "PASS"), (9.9, "WARN"), (3, "WARN"), (2.9, "FAIL"), (math.nan, "FAIL")]
)
def test_too_little_is_graded(value: float, verdict: Verdict) -> None:
    assert at_least(value, warn=10, fail=3) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"), [(0, "PASS"), (2, "PASS"), (2.1, "WARN"), (30, "WARN"), (31, "FAIL"), (math.nan, "FAIL")]
)
def test_too_much_is_graded(value: float, verdict: Verdict) -> None:
    assert at_most(value, warn=2, fail=30) == verdict


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["PASS", "WARN", "FAIL", "SKIP"], "FAIL"),
        (["PASS", "WARN", "SKIP"], "WARN"),
        (["PASS", "SKIP"], "PASS"),
        (["SKIP", "SKIP"], "FAIL"),
        ([], "FAIL"),
    ],
)
def test_the_gravest_verdict_counts_and_skips_alone_are_a_failure(verdicts: list[Verdict], expected: Verdict) -> None:
    assert overall(verdicts) == expected


def test_a_handshake_that_refuses_passwords() -> None:
    found = handshake.parse(REFUSED, entered=False)
    assert found.asked == ()
    assert found.offers["host key"][0] == "ssh-ed25519"
    assert found.offers["key exchange"] == ("sntrup761x25519-sha512@openssh.com", "curve25519-sha256")
    assert [found.weak(kind) for kind in handshake.MODERN] == [[], [], [], []]


def test_a_handshake_in_which_passwords_were_tried() -> None:
    assert handshake.parse(ASKED, entered=False).asked == ("keyboard-interactive", "password")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("key exchange", "diffie-hellman-group14-sha1"),
        ("key exchange", "diffie-hellman-group-exchange-sha1"),
        ("key exchange", "ecdh-sha2-nistp256"),
        ("host key", "ssh-rsa"),
        ("host key", "ssh-dss"),
        ("cipher", "aes128-cbc"),
        ("cipher", "3des-cbc"),
        ("MAC", "hmac-sha1"),
        ("MAC", "umac-64-etm@openssh.com"),
        ("MAC", "hmac-sha2-256"),
    ],
)
def test_old_algorithms_are_recognised(kind: str, name: str) -> None:
    titles = {"key exchange": "KEX algorithms", "cipher": "ciphers stoc", "MAC": "MACs stoc"}
    title = titles.get(kind, "host key algorithms")
    before, after = REFUSED.split("peer server")
    text = f"{before}peer server{after.replace(f'{title}: ', f'{title}: {name},')}"
    found = handshake.parse(text, entered=False)
    assert {each: found.weak(each) for each in handshake.MODERN if found.weak(each)} == {kind: [name]}


@pytest.mark.parametrize(
    ("text", "said"), [("", "said nothing"), ("debug1: x\nssh: connect: Connection refused", "Connection refused")]
)
def test_no_handshake_is_an_error_and_not_an_empty_offer(text: str, said: str) -> None:
    with pytest.raises(OSError, match=said):
        handshake.parse(text, entered=False)


def undeclared(extra: str, *, declared: tuple[str, ...] = ()) -> list[str]:
    found = listeners.parse(SOCKETS + extra)
    left = listeners.undeclared(found, ssh_ports=[22], services={"jupyter": 8888}, declared=declared)
    return [f"{socket.protocol} {socket} {socket.process}" for socket in left]


def test_what_belongs_on_a_host_is_accounted_for() -> None:
    assert undeclared("") == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('tcp LISTEN 0 5 0.0.0.0:8000 0.0.0.0:* users:(("python3",pid=1,fd=3))', "tcp *:8000 python3"),
        ('tcp LISTEN 0 5 127.0.0.1:8001 0.0.0.0:* users:(("python3",pid=1,fd=3))', "tcp 127.0.0.1:8001 python3"),
        ('tcp LISTEN 0 5 *:8888 *:* users:(("jupyter-lab",pid=70,fd=6))', "tcp *:8888 jupyter-lab"),
        ('tcp LISTEN 0 5 10.0.0.5:8888 0.0.0.0:* users:(("jupyter-lab",pid=70,fd=6))', "tcp 10.0.0.5:8888 jupyter-lab"),
        ('tcp LISTEN 0 5 [fe80::1]%eth0:99 [::]:* users:(("x",pid=1,fd=3))', "tcp [fe80::1]:99 x"),
        ('tcp LISTEN 0 5 0.0.0.0:2222 0.0.0.0:* users:(("sshd",pid=1,fd=3))', "tcp *:2222 sshd"),
        ('tcp LISTEN 0 5 10.0.0.5:22 0.0.0.0:* users:(("nc",pid=1,fd=3))', "tcp 10.0.0.5:22 nc"),
        ('udp UNCONN 0 0 127.0.0.1:8888 0.0.0.0:* users:(("x",pid=1,fd=3))', "udp 127.0.0.1:8888 x"),
        ('udp UNCONN 0 0 0.0.0.0:68 0.0.0.0:* users:(("x",pid=1,fd=3))', "udp *:68 x"),
        ("tcp LISTEN 0 64 0.0.0.0:2049 0.0.0.0:*", "tcp *:2049 "),
    ],
)
def test_anything_else_is_found_and_named(line: str, named: str) -> None:
    assert undeclared(line) == [named]


@pytest.mark.parametrize(
    ("declared", "line"),
    [
        ("127.0.0.1:9000", 'tcp LISTEN 0 5 127.0.0.1:9000 0.0.0.0:* users:(("x",pid=1,fd=3))'),
        ("0.0.0.0:9000", 'tcp LISTEN 0 5 *:9000 *:* users:(("x",pid=1,fd=3))'),
        ("*:9000", 'udp UNCONN 0 0 [::]:9000 [::]:* users:(("x",pid=1,fd=3))'),
        ("[::1]:9000", 'tcp LISTEN 0 5 [::1]:9000 [::]:* users:(("x",pid=1,fd=3))'),
    ],
)
def test_a_declared_socket_is_accounted_for(declared: str, line: str) -> None:
    assert undeclared(line) != []
    assert undeclared(line, declared=(declared,)) == []


@pytest.mark.parametrize(
    ("ports", "left"),
    [(["127.0.0.1:41001"], 0), (["127.0.0.1:41001", "127.0.0.1:41002"], 2), (["0.0.0.0:41001"], 1)],
    ids=["its own", "two", "everywhere"],
)
def test_a_notebook_may_have_one_port_on_loopback(ports: list[str], left: int) -> None:
    found = listeners.parse(
        "".join(f'tcp LISTEN 0 5 {port} 0.0.0.0:* users:(("python",pid=77,fd=3))\n' for port in ports)
    )
    known = listeners.undeclared(found, ssh_ports=[], services={}, declared=[], notebooks=[77])
    unknown = listeners.undeclared(found, ssh_ports=[], services={}, declared=[], notebooks=[78])
    assert (len(known), len(unknown)) == (left, len(ports))


def test_a_declaration_for_loopback_does_not_open_every_address() -> None:
    assert undeclared('tcp LISTEN 0 5 0.0.0.0:9000 0.0.0.0:* users:(("x",pid=1,fd=3))', declared=("127.0.0.1:9000",))


def test_what_is_named_can_be_declared_as_it_is_written() -> None:
    """The advice quotes a socket's own text."""
    for address in ("*", "127.0.0.1", "fe80::1"):
        socket = Listener("tcp", address, 80, "x")
        assert not listeners.undeclared([socket], ssh_ports=[], services={}, declared=[str(socket)])


def test_what_one_user_cannot_see_another_may() -> None:
    """Root and the login user each see the names of their own programs only, in a container."""
    seen = 'tcp LISTEN 0 5 127.0.0.1:9000 0.0.0.0:* users:(("x",pid=1,fd=3))\n'
    unseen = "tcp LISTEN 0 5 127.0.0.1:9000 0.0.0.0:*\n"
    assert listeners.parse(unseen + seen) == listeners.parse(seen)
    assert [socket.process for socket in listeners.parse(unseen)] == [""]


def test_another_format_is_an_error_and_not_an_empty_list() -> None:
    with pytest.raises(ValueError, match="not a line of ss"):
        listeners.parse("Netid State Recv-Q Send-Q Local Address:Port\n")


LOCK = """\
# made by uv
numpy==2.4.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:cc
    # via click
tomli==2.2.1 ; python_full_version < '3.11' \\
    --hash=sha256:dd
scikit-learn==1.8.0 ; python_full_version >= '3.11' \\
    --hash=sha256:ee
"""


def test_a_lock_wants_what_its_markers_say() -> None:
    linux = {"sys_platform": "linux", "python_full_version": "3.11.2"}
    assert lockfile.pins(LOCK, linux) == {"numpy": "2.4.0", "scikit-learn": "1.8.0"}
    assert "tomli" in lockfile.pins(LOCK, {**linux, "python_full_version": "3.10.12"})


def test_every_difference_from_a_lock_is_named() -> None:
    wanted = {"numpy": "2.4.0", "scikit-learn": "1.8.0", "joblib": "1.5.0"}
    assert not lockfile.compare(wanted, {"NumPy": "2.4.0", "scikit_learn": "1.8.0", "joblib": "1.5.0"})
    assert not lockfile.compare({"thop": "0.1.1.post2"}, {"thop": "0.1.1-2"})
    found = lockfile.compare(wanted, {"numpy": "1.26.4", "Scikit.Learn": "1.8.0", "requests": "2.32.0"})
    assert str(found) == (
        "missing: joblib 1.5.0; not in the lock: requests 2.32.0; another version: numpy 1.26.4 instead of 2.4.0"
    )
