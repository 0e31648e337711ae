"""Settings: where they come from, what is told when they are wrong, and how they document themselves."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr, ValidationError
from smartex_chassis import (
    BackingSettings,
    ChassisSettings,
    Settings,
    SettingsInvalid,
    describe_settings,
    load,
    read_secret,
)
from smartex_chassis.settings import unknown_variables


class Market(ChassisSettings):
    """A service's settings."""

    section: ClassVar[str] = "market"
    shards: int = Field(default=1, ge=1, description="shards of this market")
    pin: SecretStr = Field(default=SecretStr("q7q7q7"), min_length=4, description="the pin")


class Needy(Settings):
    """Has no default."""

    folder: Path = Field(description="where the data is")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("SMARTEX_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "smartex.toml"
    monkeypatch.setenv("SMARTEX_CONFIG", str(path))
    return path


def problems(settings_cls: type[Settings]) -> tuple[str, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        load(settings_cls)
    assert caught.value.problems == tuple(str(caught.value).split("\n")), "one line for each problem"
    return caught.value.problems


def test_defaults_are_good_and_frozen() -> None:
    settings = load(ChassisSettings)
    assert (settings.host, settings.port, settings.metrics_port) == ("127.0.0.1", 7400, 7401)
    assert settings.max_message_bytes == 4 * 1024 * 1024
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_environment_wins_over_file_and_section_over_top(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(
        'port = 1\nhost = "10.0.0.1"\ndrain_timeout = 3\n[market]\nport = 2\nshards = 4\n[other]\nx = 1\n'
    )
    market, chassis = load(Market), load(ChassisSettings)
    assert (market.port, market.shards, market.host) == (2, 4, "10.0.0.1")
    assert (chassis.port, chassis.drain_timeout) == (1, timedelta(seconds=3))
    monkeypatch.setenv("SMARTEX_PORT", "9")
    assert load(Market).port == 9
    assert load(Market, port=10).port == 10


def test_every_problem_is_told_at_once(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("prot = 1\nhost = 5\n[market]\nshards = 0\n")
    monkeypatch.setenv("SMARTEX_PORT", "99999")
    monkeypatch.setenv("SMARTEX_LOG_LEVEL", "loud")
    told = problems(Market)
    assert len(told) == 5
    assert f"{config}: prot: there is no such setting; did you mean port?" in told
    for start in ("SMARTEX_PORT=99999: ", "SMARTEX_LOG_LEVEL=loud: ", "host=5: ", "shards=0: "):
        assert any(line.startswith(start) for line in told), (start, told)


def test_what_is_missing_is_named() -> None:
    assert problems(Needy) == ("SMARTEX_FOLDER: Field required",)


@pytest.mark.parametrize(("content", "why"), [("port = ", "is not TOML"), (None, "cannot be read")])
def test_a_bad_file_is_told(config: Path, content: str | None, why: str) -> None:
    if content is not None:
        config.write_text(content)
    (line,) = problems(ChassisSettings)
    assert line.startswith(f"SMARTEX_CONFIG={config}: {why}")


def test_secrets_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTEX_PIN", "7q7")
    (line,) = problems(Market)
    assert line.startswith("SMARTEX_PIN: ")
    assert "7q7" not in line
    assert "q7q7q7" not in describe_settings(Market)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("JWKS", "http://keys.example/jwks.json", "https"),
        ("TLS_CERT_FILE", "/nowhere/cert.pem", "no readable file"),
        ("DRAIN_TIMEOUT", "-1", "negative"),
        ("DRAIN_TIMEOUT", "soon", "duration"),
        ("TRACE_RATIO", "1.5", "less than or equal to 1"),
        ("MAX_MESSAGE_BYTES", "3", "greater than or equal to 1024"),
    ],
)
def test_wrong_values_are_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str) -> None:
    monkeypatch.setenv(f"SMARTEX_{name}", value)
    (line,) = problems(ChassisSettings)
    assert line.startswith(f"SMARTEX_{name}={value}: ")
    assert why in line


@pytest.mark.parametrize(
    "value", ["https://keys.example/jwks.json", "http://127.0.0.1:9/jwks", "data/jwks.json"]
)
def test_keys_may_come_from_here_or_over_https(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SMARTEX_JWKS", value)
    assert load(ChassisSettings).jwks == value


def test_times_are_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTEX_DRAIN_TIMEOUT", "1.5")
    monkeypatch.setenv("SMARTEX_DEFAULT_DEADLINE", "PT20S")
    settings = load(ChassisSettings)
    assert (settings.drain_timeout, settings.default_deadline) == (
        timedelta(seconds=1.5),
        timedelta(seconds=20),
    )


def test_none_takes_a_value_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTEX_METRICS_PORT", "none")
    assert load(ChassisSettings).metrics_port is None


def test_half_of_tls_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "some.pem"
    file.write_text("x")
    monkeypatch.setenv("SMARTEX_TLS_CERT_FILE", str(file))
    assert problems(ChassisSettings) == (
        "SMARTEX_TLS_CERT_FILE and SMARTEX_TLS_KEY_FILE go together: set both or none",
    )
    monkeypatch.delenv("SMARTEX_TLS_CERT_FILE")
    monkeypatch.setenv("SMARTEX_TLS_CLIENT_CA_FILE", str(file))
    assert problems(ChassisSettings)[0].startswith("SMARTEX_TLS_CLIENT_CA_FILE needs")


def test_every_setting_is_documented() -> None:
    text = describe_settings(Market)
    for name, info in Market.model_fields.items():
        assert info.description, name
        assert any(
            line.startswith(f"SMARTEX_{name.upper()} ") and line.endswith(info.description)
            for line in text.splitlines()
        )
    assert "(required)" in describe_settings(Needy)


def test_misspelt_variables_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTEX_PROT", "1")
    monkeypatch.setenv("SMARTEX_SHARDS", "1")
    assert unknown_variables([Market]) == ["SMARTEX_PROT; did you mean SMARTEX_PORT?"]
    assert unknown_variables([ChassisSettings])[1].startswith("SMARTEX_SHARDS")
    assert unknown_variables([Market], ["SMARTEX_PORT", "SMARTEX_PROT", "PATH"]) == [
        "SMARTEX_PROT; did you mean SMARTEX_PORT?"
    ]


def test_secrets_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    secret = read_secret(file)
    assert secret.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(secret)
    file.write_text("\n")
    with pytest.raises(SettingsInvalid, match="is empty"):
        read_secret(file)
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        read_secret(tmp_path / "nowhere")


def test_a_log_is_in_the_database_unless_it_has_a_place_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = load(BackingSettings)
    assert nowhere.database_if_any() is None
    for missing in (nowhere.database, nowhere.bus):
        with pytest.raises(SettingsInvalid, match="SMARTEX_DATABASE_URL"):
            missing()

    monkeypatch.setenv("SMARTEX_DATABASE_URL", "postgresql://u:p@here/one")
    here = load(BackingSettings)
    assert here.database() == here.bus() == "postgresql://u:p@here/one"
    assert "u:p" not in repr(here)

    (tmp_path / "uri").write_text("postgresql://u:p@here/two\n")
    monkeypatch.setenv("SMARTEX_DATABASE_URL_FILE", str(tmp_path / "uri"))
    monkeypatch.setenv("SMARTEX_BUS_URL", "kafka://there:9092")
    both = load(BackingSettings)
    assert (both.database(), both.bus()) == ("postgresql://u:p@here/two", "kafka://there:9092")
