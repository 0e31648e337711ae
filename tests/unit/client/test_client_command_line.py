"""The command without an exchange: help, usage, where it connects to, tokens, words."""

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from smartex.matching.v1.types_pb2 import Instrument, Reason
from smartex_client import InvalidInput, Tls, connect_as
from smartex_client.cli.app import app, hoisted
from smartex_client.cli.orders import end_time, limit_price
from smartex_client.cli.output import plain
from smartex_client.cli.times import seconds_of
from smartex_client.messages import CHINESE, ENGLISH, message, numbers, rejection
from smartex_client.profile import resolve
from typer.testing import CliRunner

COMMANDS = [
    ["order", "buy"],
    ["order", "sell"],
    ["order", "cancel"],
    ["order", "amend"],
    ["order", "list"],
    ["order", "show"],
    ["book"],
    ["trades"],
    ["candles"],
    ["account", "show"],
    ["account", "ledger"],
    ["account", "deposit"],
    ["account", "withdraw"],
    ["instrument", "list"],
    ["instrument", "show"],
    ["instrument", "define"],
    ["venue", "status"],
    ["venue", "hash"],
    ["venue", "halt"],
    ["venue", "resume"],
    ["venue", "open"],
    ["venue", "close"],
    ["venue", "roll"],
    ["token", "issue"],
    ["replay", "lobster"],
    ["status"],
    ["portfolio", "show"],
    ["portfolio", "watch"],
    ["portfolio", "at"],
    ["portfolio", "history"],
    ["risk", "report"],
    ["risk", "profile"],
    ["risk", "questionnaire"],
    ["risk", "limits"],
    ["habits"],
    ["alert", "list"],
    ["alert", "ack"],
    ["advice", "list"],
    ["advice", "show"],
    ["advice", "accept"],
    ["advice", "dismiss"],
    ["advice", "record"],
    ["inbox", "list"],
    ["inbox", "watch"],
    ["inbox", "show"],
    ["inbox", "read"],
    ["chat", "mandate", "grant"],
    ["chat", "mandate", "revoke"],
    ["chat", "mandate", "list"],
    ["chat", "threads"],
    ["chat", "open"],
    ["chat", "say"],
    ["chat", "propose"],
    ["chat", "accept"],
    ["chat", "decline"],
    ["chat", "show"],
    ["chat", "watch"],
    ["chat", "search"],
    ["chat", "export"],
    ["notify", "send"],
    ["notify", "deliveries"],
    ["notify", "replay"],
    ["notify", "channels"],
    ["notify", "preferences"],
    ["notify", "wechat"],
    ["notify", "address", "list"],
    ["notify", "address", "add"],
    ["notify", "address", "verify"],
    ["notify", "address", "remove"],
    ["trace"],
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SMARTEX_URL", "SMARTEX_TOKEN", "SMARTEX_TOKEN_FILE", "SMARTEX_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SMARTEX_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("LANG", "C")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(words: list[str]) -> None:
    done = CliRunner().invoke(app, [*words, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nonsense"], 2),
        (["order", "buy"], 2),
        (["--lang", "fr", "status"], 2),
        (["--colours", "grey", "status"], 2),
        (["book", "ACME", "--depth", "0"], 2),
        (["order", "buy", "ACME", "1", "@", "1", "2"], 2),
        (["--url", "127.0.0.1:1", "--timeout", "0.1", "status"], 6),
        (["--as", "nobody", "status"], 2),
        (["token", "issue"], 4),
        (["risk", "limits", "--set", "leverage"], 2),
        (["risk", "report", "--shock", "market"], 2),
        (["portfolio", "at", "yesterday"], 2),
        (["notify", "preferences", "--file", "none.json"], 2),
        (["notify", "send", "1001", "a.b", "--urgency", "loud"], 2),
        (["chat", "accept"], 2),
        (["replay", "lobster", "none.csv", "none.csv"], 2),
    ],
)
def test_exit_codes(home: Path, words: list[str], code: int) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code
    assert done.stdout == ""
    assert done.stderr


def test_errors_are_json_where_json_was_asked_for(home: Path) -> None:
    done = CliRunner().invoke(app, ["--json", "--url", "127.0.0.1:1", "--timeout", "0.1", "status"])
    assert done.stdout == ""
    assert json.loads(done.stderr)["error"] == "UNREACHABLE"


def test_options_of_the_whole_command_may_stand_anywhere() -> None:
    words = ["order", "list", "--json", "ACME", "--as", "bob", "--lang=zh-CN", "-n", "5"]
    assert hoisted(words) == ["--json", "--as", "bob", "--lang=zh-CN", "order", "list", "ACME", "-n", "5"]
    assert hoisted(["kafka", "--", "--json"]) == ["kafka", "--", "--json"]
    assert hoisted(["status", "--as"]) == ["--as", "status"]


@pytest.mark.parametrize(
    ("terms", "price", "found"),
    [
        (["@", "10.5"], None, "10.5"),
        (["@10.5"], None, "10.5"),
        (["10.5"], None, "10.5"),
        (None, "10.5", "10.5"),
        (None, None, None),
    ],
)
def test_a_price_may_be_written_as_people_do(
    terms: list[str] | None, price: str | None, found: str | None
) -> None:
    assert limit_price(terms, price) == found


def test_spans_of_time() -> None:
    assert [seconds_of(text, "ttl") for text in ("90", "90s", "15m", "12h", "7d")] == [
        90,
        90,
        900,
        43200,
        604800,
    ]
    for wrong in ("", "0", "-1", "1w", "h", "1.5h"):
        with pytest.raises(InvalidInput):
            seconds_of(wrong, "ttl")
    assert end_time("2026-12-31T15:00+08:00").isoformat() == "2026-12-31T15:00:00+08:00"
    assert end_time("2026-12-31T15:00").tzinfo is not None


@pytest.mark.parametrize("field", ["profile", "url", "token_file"])
def test_an_empty_argument_is_no_default(field: str) -> None:
    empty: dict[str, Any] = {field: ""}
    with pytest.raises(InvalidInput) as caught:
        resolve(**empty, environment={})
    assert caught.value.field == field


def test_the_environments_tls_is_not_for_a_socket_of_this_machine(home: Path) -> None:
    """As `make up` writes profiles when its port speaks TLS: whoever reaches that port has the variable set."""
    (home / "profiles").mkdir()
    (home / "profiles" / "own.toml").write_text('url = "unix:/run/grpc.sock"\n')
    environment = {"SMARTEX_HOME": str(home), "SMARTEX_PROFILE": "own", "SMARTEX_CA_FILE": "ca.pem"}
    assert resolve(environment=environment).tls is None
    assert resolve(url="exchange.example:7400", environment=environment).tls == Tls(Path("ca.pem"))
    assert resolve(tls=Tls(Path("mine.pem")), environment=environment).tls == Tls(Path("mine.pem"))


def test_arguments_come_before_environment_before_profile(home: Path) -> None:
    assert resolve(environment={}).url == "127.0.0.1:7400"
    (home / "profiles").mkdir()
    (home / "profiles/default.toml").write_text('url = "one:1"\ntoken_file = "../t"\naccount = 7\n')
    (home / "t").write_text("from-file\n")
    environment = {"SMARTEX_HOME": str(home)}
    found = resolve(environment=environment)
    assert (found.url, found.account_id, found.token_source()()) == ("one:1", 7, "from-file")
    (home / "t").write_text("renewed\n")
    assert found.token_source()() == "renewed"
    environment |= {"SMARTEX_URL": "two:2", "SMARTEX_TOKEN": "from-environment"}
    found = resolve(environment=environment)
    assert (found.url, found.token_source()()) == ("two:2", "from-environment")
    found = resolve(url="three:3", token="given", environment=environment)
    assert (found.url, found.token_source()()) == ("three:3", "given")
    assert "given" not in repr(found)
    assert resolve(token_file=home / "t", environment=environment).token_source()() == "renewed"
    with pytest.raises(InvalidInput, match="no profile"):
        resolve(profile="nobody", environment=environment)


async def test_a_program_may_act_as_a_profile_says_and_nothing_else(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo's participants trade where `make up` is, also when its shell was set up for another exchange."""
    (home / "own.toml").write_text('url = "one:1"\ntoken_file = "t"\n')
    (home / "t").write_text("own")
    for name in ("URL", "TOKEN", "TOKEN_FILE", "PROFILE", "CA_FILE", "CERT_FILE"):
        monkeypatch.setenv(f"SMARTEX_{name}", "elsewhere")
    connection = connect_as(home / "own.toml")._connection
    assert (connection.url, connection.token(), connection.tls) == ("one:1", "own", None)


@pytest.mark.parametrize("text", ["url = 5", "account = true", "url = ", "token_file = []"])
def test_a_broken_profile_is_told(home: Path, text: str) -> None:
    (home / "own.toml").write_text(text)
    with pytest.raises(InvalidInput):
        resolve(profile=str(home / "own.toml"))


def test_a_token_file_that_is_gone_is_told(home: Path) -> None:
    (home / "binary").write_bytes(b"\xff\xfe")
    for name in ("none", "binary", "nul\0"):
        with pytest.raises(InvalidInput, match="cannot read the token file"):
            resolve(token_file=home / name).token_source()()
    with pytest.raises(InvalidInput):
        resolve(profile="nul\0.toml")


def test_a_token_is_signed_with_the_key_of_the_exchange(home: Path) -> None:
    key = Ed25519PrivateKey.generate()
    (home / "keys").mkdir()
    (home / "keys/signing_key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    done = CliRunner().invoke(
        app, ["token", "issue", "--account", "42", "--scope", "trade,read", "--ttl", "1h"]
    )
    claims = jwt.decode(done.stdout.strip(), key.public_key(), algorithms=["EdDSA"], audience="smartex")
    assert (claims["account"], claims["scope"], claims["iss"]) == (42, "trade read", "smartex-local")
    assert claims["exp"] - claims["iat"] == 3600
    assert len(base64.urlsafe_b64decode(jwt.get_unverified_header(done.stdout.strip())["kid"] + "=")) == 32
    assert CliRunner().invoke(app, ["token", "issue", "--scope", "everything"]).exit_code == 2
    done = CliRunner().invoke(app, ["token", "issue", "--out", str(home / "none" / "token")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "cannot write" in done.stderr


@given(reason=st.sampled_from([value for value in Reason.values() if value]), number=st.integers(0, 2**62))
def test_every_reason_has_words_in_both_languages(reason: int, number: int) -> None:
    instrument = Instrument(symbol="ACME", currency_code="CNY", tick_size="0.01", lot_size="0.1")
    found = numbers(instrument, reason, number, number)
    english, chinese = (message(instrument, reason, found, language) for language in (ENGLISH, CHINESE))
    assert english.isascii()
    assert not chinese.isascii()
    assert "?" not in english
    error = rejection(None, reason, number, number, ENGLISH)
    assert error.reason == Reason.Name(reason).removeprefix("REASON_")  # type: ignore[arg-type]


def test_messages_are_json_with_every_field() -> None:
    shown = plain(Instrument(symbol="ACME"))
    assert (shown["symbol"], shown["board_lot"]) == ("ACME", "0")
