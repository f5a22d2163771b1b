"""The file /etc/wsl.conf: read, checked and edited as WSL has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurig.windows import wslconf

SYSTEMD = {"boot": {"systemd": "true"}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[boot]\nsystemd=true\n", {"boot.systemd": "true"}),
        ("[boot]\r\nsystemd=true\r\n[user]\r\ndefault=me\r\n", {"boot.systemd": "true", "user.default": "me"}),
        ("[Boot]\nSystemd = true # yes\n", {"boot.systemd": "true"}),
        ("[user]\ndefault=me\n; old\n[boot]\nsystemd=true\n", {"user.default": "me"}),
        ("[foo bar]\n[boot]\nsystemd=true\n", {}),
        ("[boot]\ncommand=echo C:\\x\nsystemd=true\n", {}),
        ("\ufeff[boot]\nsystemd=true\n", {}),
        ("[boot]\ncommand=a \\\n b\nsystemd=true\n", {"boot.command": "a  b", "boot.systemd": "true"}),
        ("[boot]\ncommand=a \\\r\n b\r\nsystemd=true\r\n", {}),
    ],
)
def test_reading_ends_at_the_first_malformed_line(text: str, found: dict[str, str]) -> None:
    assert wslconf.parse(text) == found


@pytest.mark.parametrize(
    ("text", "line", "words", "harmful"),
    [
        ("[boot]\n; systemd\nsystemd=true", 2, "stops reading here", True),
        ("[boot]\nsystemd=yes", 2, "write one of true, false", False),
        ("[boot]\nsystem=true", 2, "does not know it", False),
        ("[gpu]\nenabled=false", 2, "takes the GPU away", True),
        ("[user]\ndefault=a\ndefault=b", 3, "line 2 has it already", False),
        ("[automount]\ncgroups=v3", 2, "write one of v1, v2", False),
    ],
)
def test_what_is_odd_is_told_with_its_line(text: str, line: int, words: str, harmful: bool) -> None:
    [problem] = wslconf.lint(text)
    assert (problem.line, problem.harmful) == (line, harmful)
    assert words in problem.text


def test_ubuntus_own_file_is_fine() -> None:
    assert wslconf.lint("[boot]\nsystemd=true\n\n[user]\ndefault=me\n# [network]\n# hostname=x\n") == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[boot]\nsystemd=true\n"),
        ("[boot]\nsystemd=false\n", "[boot]\nsystemd=true\n"),
        ("[boot]\nsystemd = 1 # on\n", "[boot]\nsystemd = 1 # on\n"),
        ("[user]\ndefault=me\n; old\n[boot]\nsystemd=TRUE\n", "[user]\ndefault=me\n# ; old\n[boot]\nsystemd=TRUE\n"),
        ("[network]\nhostname=pc\n", "[network]\nhostname=pc\n\n[boot]\nsystemd=true\n"),
    ],
)
def test_an_edit_keeps_what_is_the_users(before: str, after: str) -> None:
    assert wslconf.edit(before, SYSTEMD) == after


@given(
    st.text(alphabet='ab=[]#; "\\\r\n\tü', max_size=30)
    | st.lists(
        st.sampled_from(
            ["[boot]", "systemd=false", "; x", "command=C:\\x", 'a="', "[user]", "default=me", "[x y]", "e=\\"]
        ),
        max_size=8,
    ).map("\n".join)
)
def test_an_edited_file_is_read_to_its_end_and_has_what_is_wanted(text: str) -> None:
    edited = wslconf.edit(text, SYSTEMD)
    assert wslconf.parse(edited)["boot.systemd"].lower() in ("true", "1")
    assert not [problem for problem in wslconf.lint(edited) if "stops reading" in problem.text]
    assert wslconf.edit(edited, SYSTEMD) == edited
    before = wslconf.parse(text)
    assert {
        name: value for name, value in wslconf.parse(edited).items() if name in before and name != "boot.systemd"
    } == {name: value for name, value in before.items() if name != "boot.systemd"}
