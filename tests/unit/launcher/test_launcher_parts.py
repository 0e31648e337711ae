import asyncio
import stat
import sys
from datetime import date, datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from zoneinfo import ZoneInfo

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_chassis import ChassisSettings, LocalIssuer, ServiceModule, StartupError
from smartex_chassis.printing import mute
from smartex_launcher import services
from smartex_launcher.demo import DayRoller, commands, seconds_to_midnight
from smartex_launcher.logs import RollingFile, Tee, roll
from smartex_launcher.profiles import PEOPLE, write_profiles
from smartex_launcher.screen import Screen


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_profiles_are_private_and_name_their_token(tmp_path: Path) -> None:
    issuer = LocalIssuer(tmp_path / "keys")
    folder = tmp_path / "profiles"
    write_profiles(folder, PEOPLE, "127.0.0.1:7400", issuer, timedelta(days=1))
    assert mode(folder) == 0o700
    assert mode(tmp_path / "keys" / "signing_key.pem") == 0o600
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{person.name}.{kind}" for person in PEOPLE for kind in ("toml", "token")
    )
    assert all(mode(path) == 0o600 for path in folder.iterdir())
    assert (folder / "bob.toml").read_text().splitlines() == [
        'url = "127.0.0.1:7400"',
        'token_file = "bob.token"',
        "account = 1002",
    ]
    claims = jwt.decode((folder / "operator.token").read_text().strip(), options={"verify_signature": False})
    assert claims["scope"] == "operate read"
    assert "account" not in claims


def test_profiles_are_replaced_whole(tmp_path: Path) -> None:
    issuer = LocalIssuer(tmp_path / "keys")
    for url in ("a:1", "b:2"):
        write_profiles(tmp_path / "profiles", PEOPLE[:1], url, issuer, timedelta(days=1))
    assert 'url = "b:2"' in (tmp_path / "profiles" / "default.toml").read_text()


def test_a_log_rolls_and_keeps_some(tmp_path: Path) -> None:
    log = RollingFile(tmp_path / "logs" / "x.log", max_bytes=10, kept=2)
    for number in range(6):
        log.write(f"line {number} …\n")
    log.close()
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert names == ["x.log", "x.log.1", "x.log.2"]
    assert [(tmp_path / "logs" / name).read_text() for name in names] == [
        f"line {number} …\n" for number in (5, 4, 3)
    ]


def test_a_log_that_cannot_be_moved_goes_on_in_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    log = RollingFile(tmp_path / "x.log", max_bytes=10)
    with monkeypatch.context() as disk:
        disk.setattr(Path, "replace", refused)
        for number in range(3):
            log.write(f"line {number} …\n")
    assert (tmp_path / "x.log").read_text() == "line 0 …\nline 1 …\nline 2 …\n"
    log.write("moved\n")
    log.close()
    assert (tmp_path / "x.log").read_text() == "moved\n"


def test_a_log_comes_back_once_its_file_can_be_opened(tmp_path: Path) -> None:
    logs, away = tmp_path / "logs", tmp_path / "away"
    log = RollingFile(logs / "x.log", max_bytes=5)
    log.write("before\n")
    logs.rename(away)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            log.write("lost\n")
    away.rename(logs)
    log.write("after\n")
    log.close()
    assert (logs / "x.log").read_text() == "after\n"


def test_what_one_stream_refuses_the_others_get(tmp_path: Path) -> None:
    said: list[str] = []
    with open("/dev/full", "w", buffering=1) as full:
        tee = Tee(full.write, said.append)
        with pytest.raises(OSError, match="No space left"):
            tee.write("line\n")
        mute(full)
    assert said == ["line\n"]


def test_a_file_rolls_by_itself_too(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("one")
    roll(tmp_path / "a.log", kept=3)
    assert (tmp_path / "a.log.1").read_text() == "one"
    assert not (tmp_path / "a.log").exists()


async def make(context: services.ServiceContext | ChassisSettings) -> ServiceModule:
    return ServiceModule("made", lambda server: None, {})


def warm_up() -> None:
    """What a service's module may have."""


def test_services_are_found_by_their_entry_points() -> None:
    # The module of a test is not importable by name; any importable one with a function will do.
    point = EntryPoint("x", "smartex_launcher.demo:commands", services.GROUP)
    found = services.find([point])
    assert [(each.name, each.warm_ups, each.settings) for each in found] == [("x", (), None)]


def test_without_a_service_there_is_nothing_to_start() -> None:
    with pytest.raises(StartupError, match="make up"):
        services.find([])


def test_only_what_runs_is_suggested() -> None:
    alone = commands(["matching"], demo=True)
    assert [line.split()[1] for line in alone] == ["book", "order"]
    assert [line.split()[1] for line in commands(["matching", "positions"], demo=True)[2:]] == ["portfolio"]
    assert len(commands(["matching"], demo=False)) == 3
    assert commands(["positions"], demo=False) == []


async def test_a_module_is_built_and_its_settings_are_known(tmp_path: Path) -> None:
    found = services.Found("made", make, (warm_up,), services._settings_of(make))
    module = await services.build(found, services.ServiceContext("db", "bus", tmp_path))
    assert module.name == "made"
    assert found.settings is ChassisSettings


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
    st.sampled_from(["Asia/Shanghai", "UTC", "Europe/Berlin", "America/New_York"]),
)
def test_the_next_midnight_is_the_next_date(moment: datetime, zone: str) -> None:
    now = moment.replace(tzinfo=ZoneInfo(zone))
    pause = seconds_to_midnight(now)
    then = datetime.fromtimestamp(now.timestamp() + pause, ZoneInfo(zone))
    assert 0 < pause <= 26 * 3600
    assert then.date() > datetime.fromtimestamp(now.timestamp(), ZoneInfo(zone)).date()


class Rolls(DayRoller):
    """Counts instead of asking an exchange."""

    count = 0

    async def _roll(self) -> None:
        self.count += 1


async def test_a_day_is_rolled_once_for_each_new_date(tmp_path: Path) -> None:
    def roller() -> Rolls:
        return Rolls(tmp_path, tmp_path / "day", ZoneInfo("Asia/Shanghai"))

    first = roller()
    today = date(2026, 11, 23)
    assert [await first.catch_up(today), await first.catch_up(today)] == [False, False]
    again = roller()
    assert await again.catch_up(today + timedelta(days=3))
    assert not await again.catch_up(today + timedelta(days=3))
    assert not await again.catch_up(today)
    assert (first.count, again.count) == (0, 1)


async def test_a_screen_shows_steps_with_their_time(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    with screen.step("starting", "started") as note:
        await asyncio.sleep(0)
        note.text = "started well"
    screen.panel("open", ["one"])
    out = capsys.readouterr().out
    assert "✓ started well" in out
    assert "one" in out


def test_an_exchange_goes_on_without_a_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        screen = Screen()
        with screen.step("starting"):
            pass
        screen.say("hello")
    told = "the screen cannot be written (No space left on device): the exchange goes on without\n"
    assert capsys.readouterr().err == told


def test_a_quiet_screen_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(quiet=True)
    with screen.step("starting"):
        pass
    screen.say("hello")
    assert capsys.readouterr().out == ""


def test_a_failed_step_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(screen: Screen) -> None:
        with screen.step("starting"):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        fail(Screen())
    assert "✓" not in capsys.readouterr().out
