"""The URL of a Kafka: who logs in, whom to trust, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from smartex_bus import KafkaSecurity, KafkaSettings, Misconfigured, open_bus, settings_of


def test_a_url_of_kafka_says_who_logs_in_and_whom_to_trust(tmp_path: Path) -> None:
    ca, secret = tmp_path / "c a+.pem", tmp_path / "password"
    ca.touch()
    secret.write_text("of the file\n")
    place = "ca_file=" + quote(str(ca))
    for url, wanted in (
        ("me:p%40s%3As%2F%3F%26@a:1,b:2", KafkaSecurity("SASL_SSL", user="me", password="p@s:s/?&")),
        # Not encoded, and yet there is only one way to read it.
        ("me:p@s:s/#@a:1,b:2", KafkaSecurity("SASL_SSL", user="me", password="p@s:s/#")),
        (
            "m%C3%A9:1@a:1,b:2?security=SASL_PLAINTEXT",
            KafkaSecurity("SASL_PLAINTEXT", user="mé", password="1"),
        ),
        (
            f"me@a:1,b:2?mechanism=SCRAM-SHA-512&password_file={secret}&{place}",
            KafkaSecurity("SASL_SSL", "SCRAM-SHA-512", "me", "of the file", ca),
        ),
        (f"a:1,b:2?{place}", KafkaSecurity("SSL", ca_file=ca)),
        ("a:1,b:2/?security=SSL", KafkaSecurity("SSL")),
        ("a:1,b:2", KafkaSecurity()),
    ):
        assert settings_of(f"kafka://{url}") == KafkaSettings("a:1,b:2", security=wanted)
    assert settings_of("kafka://[::1]:1,h-1.x_y:2") == KafkaSettings("[::1]:1,h-1.x_y:2")
    assert "hidden" not in repr(settings_of("kafka://me:hidden@a:1"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("me:hidden@", "percent-encode"),
        ("hidden:hidden@a:x", "percent-encode"),
        ("me:hid?den@a:1", "percent-encode"),
        ("a:1?hidden=1", "behind the"),
        ("a:1?ca_file=", "behind the"),
        ("a:1?ca_file=/x&ca_file=/y", "each once"),
        ("me:hidden%FF@a:1", "UTF-8"),
        ("me@a:1", "password_file"),
        (":hidden@a:1", "empty"),
        ("me:@a:1", "empty"),
        ("me:hidden@a:1?password_file=/x", "once"),
        (
            "me@a:1?password_file=/does/not/exist",
            "password_file: /does/not/exist cannot be read: No such file",
        ),
        ("a:1?password_file=/x", "needs? a user"),
        ("a:1?mechanism=PLAIN", "needs? a user"),
        ("me:hidden@a:1?mechanism=hidden", "one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        ("a:1?security=TLS", "one of PLAINTEXT, SSL"),
        ("a:1?security=SASL_SSL", "needs user and password"),
        ("me:hidden@a:1?security=SSL", "takes no user"),
        ("a:1?security=PLAINTEXT&ca_file=/x", "takes no certificates"),
        ("a:1?cert_file=/x", "cert_file and key_file go together"),
        ("a:1?ca_file=/does/not/exist", "ca_file: no readable file at /does/not/exist"),
    ],
)
def test_a_url_of_kafka_that_cannot_be_says_what_to_do_in_one_line(url: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=says) as caught:
        settings_of(f"kafka://{url}")
    assert not [part for part in ("hid", "den", "\n") if part in str(caught.value)]


async def test_files_that_hold_no_certificates(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no PEM")
    for words in (f"ca_file={tmp_path}/x", f"cert_file={tmp_path}/x&key_file={tmp_path}/x"):
        with pytest.raises(Misconfigured, match="PEM"):
            await open_bus(f"kafka://127.0.0.1:1?{words}")


def test_a_password_file_that_holds_none_is_told(tmp_path: Path) -> None:
    """Or the brokers would refuse the login, and nobody knew why."""
    file = tmp_path / "password"
    file.write_text("\n")
    with pytest.raises(Misconfigured, match=r"password_file: .* is empty"):
        settings_of(f"kafka://me@a:1?password_file={file}")
