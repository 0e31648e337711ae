import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from smartex_store.conf import render

LINE = re.compile(r"([a-z_]+) = '((?:[^'\\]|''|\\\\)*)'")


def parse(text: str) -> dict[str, str]:
    """As PostgreSQL reads it: doubled quotes, backslash escapes."""
    found = {}
    for line in text.split("\n")[1:-1]:
        match = LINE.fullmatch(line)
        assert match, line
        found[match[1]] = match[2].replace("''", "'").replace("\\\\", "\\")
    return found


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
def test_any_value_is_quoted(value: str) -> None:
    assert parse(render(18, {"work_mem": value}, Path("/tmp/x"), None))["work_mem"] == value


def test_settings_override_defaults_but_not_access() -> None:
    settings = {"fsync": "off", "listen_addresses": "*", "unix_socket_permissions": "0777"}
    found = parse(render(18, settings, Path("/tmp/it's"), None))
    assert found["fsync"] == "off"
    assert (found["listen_addresses"], found["unix_socket_permissions"]) == ("", "0700")
    assert found["unix_socket_directories"] == "/tmp/it's"


def test_a_port_opens_loopback_only() -> None:
    found = parse(render(18, {}, Path("/tmp/x"), 6000))
    assert (found["listen_addresses"], found["port"]) == ("127.0.0.1", "6000")


def test_settings_of_18_stay_out_of_16() -> None:
    assert "io_method" in parse(render(18, {}, Path("/tmp/x"), None))
    assert "io_method" not in parse(render(16, {}, Path("/tmp/x"), None))
