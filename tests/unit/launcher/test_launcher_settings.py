from pathlib import Path

import pytest
from smartex_chassis import ChassisSettings, SettingsInvalid, load
from smartex_launcher.main import main
from smartex_launcher.settings import LauncherSettings, chassis_overrides, launcher_overrides, parse


def launcher(*words: str) -> LauncherSettings:
    return load(LauncherSettings, **launcher_overrides(parse(words)))


def test_defaults() -> None:
    settings = launcher()
    assert settings.folder == Path.cwd() / "data"
    assert settings.demo
    assert settings.bus_url is None


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTEX_DATA", "/elsewhere")
    monkeypatch.setenv("SMARTEX_PORT", "7500")
    monkeypatch.setenv("SMARTEX_DEMO", "false")
    assert launcher().folder == Path("/elsewhere")
    assert not launcher().demo
    assert launcher("--data", "/here").folder == Path("/here")
    assert load(ChassisSettings, **chassis_overrides(parse(["--port", "7600"]))).port == 7600
    assert load(ChassisSettings, **chassis_overrides(parse([]))).port == 7500


def test_no_demo() -> None:
    assert not launcher("--no-demo").demo


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--bus", "redis://x"], "SMARTEX_BUS_URL: a bus is kafka://host:port,… or postgresql://…"),
        (["--bus", "kafka://x:9092", "--kafka"], "give one of them"),
    ],
)
def test_a_bus_that_cannot_be_is_refused(words: list[str], says: str) -> None:
    with pytest.raises(SettingsInvalid, match=says.replace("?", r"\?")) as caught:
        launcher(*words)
    assert len(caught.value.problems) == 1


def test_the_bus_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTEX_BUS_URL", "postgresql://me:hidden@host/db")
    assert "hidden" not in repr(launcher())


def test_an_unknown_time_zone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTEX_DEMO_ROLL_ZONE", "Asia/Atlantis")
    with pytest.raises(SettingsInvalid, match="time zone"):
        launcher()
    monkeypatch.setenv("SMARTEX_DEMO_ROLL_ZONE", "none")
    assert launcher().demo_roll_zone is None


def test_a_wrong_setting_is_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "70000"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "SMARTEX_PORT=70000: Input should be less than or equal to 65535"
    ]


def test_a_list_of_services_that_names_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTEX_SERVICES", " , ")
    with pytest.raises(SettingsInvalid, match="names no service: leave it out to run all"):
        launcher()


def test_all_services_run_unless_some_are_named() -> None:
    assert LauncherSettings().runs("positions")
    some = LauncherSettings(services="matching, positions")
    assert [name for name in ("matching", "notifications", "positions") if some.runs(name)] == [
        "matching",
        "positions",
    ]
