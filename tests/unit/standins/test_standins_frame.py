"""The frame of all stand-ins: faults, cuts, log, control, phone, credentials, and the program."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import stat
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_standins.faults import SWITCHES, Faults, UnknownFault
from smartex_standins.people import MAX_ADDRESSES, People, openid_of
from smartex_standins.providers import write_providers
from smartex_standins.registry import all_standins
from smartex_standins.request_log import KEPT_BODY_BYTES, KEPT_REQUESTS, Received, RequestLog
from smartex_standins.serving import Serving, serve
from smartex_standins.standin import KEPT_MESSAGES, Look, PhoneMessage, Settings, Standin
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

PROTOCOLS: list[dict[str, Any]] = [{}, {"http1": False, "http2": True}]


class Echo(Standin):
    """Takes anything."""

    name = "echo"
    title = "Echo"
    taken = 0
    stopped = False

    def routes(self) -> Sequence[BaseRoute]:
        async def take(request: Request) -> Response:
            self.taken += 1
            return JSONResponse({"bytes": len(await request.body())})

        return [Route("/send", take, methods=["POST"])]

    def provider_settings(self) -> Mapping[str, Settings]:
        return {"echo": {"base_url": self.place.base_url, "key": self.place.secret("key")}}

    async def stop(self) -> None:
        self.stopped = True


class Running:
    def __init__(self, serving: Serving, echo: Echo, client: httpx.AsyncClient) -> None:
        self.serving, self.echo, self.client = serving, echo, client

    async def control(self, method: str, path: str, **values: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.serving.url) as client:
            return await client.request(method, f"/control/echo/{path}", **values)

    async def send(self, content: bytes = b"{}") -> httpx.Response:
        return await self.client.post("/echo/send", content=content)


@contextlib.asynccontextmanager
async def running(data: Path, protocol: dict[str, Any] | None = None) -> AsyncIterator[Running]:
    echo = Echo()
    async with (
        serve(data, 0, "http://127.0.0.1:1/callbacks", [echo]) as serving,
        httpx.AsyncClient(base_url=serving.url, **(protocol or {})) as client,
    ):
        yield Running(serving, echo, client)
    assert echo.stopped


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("fault", "taken"), [("down", 0), ("cut_after_send", 1)])
async def test_a_cut_leaves_no_status(
    tmp_path: Path, protocol: dict[str, Any], fault: str, taken: int
) -> None:
    async with running(tmp_path, protocol) as run:
        await run.control("POST", "faults", json={fault: 1})
        with pytest.raises(httpx.TransportError):
            await run.send()
        assert run.echo.taken == taken
        assert (await run.send()).status_code == 200
        first = (await run.control("GET", "log")).json()[-1]
        assert first["status"] == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_server_error_takes_nothing_as_often_as_was_said(
    tmp_path: Path, protocol: dict[str, Any]
) -> None:
    async with running(tmp_path, protocol) as run:
        await run.control("POST", "faults", json={"server_error": 2})
        assert [(await run.send()).status_code for _ in range(3)] == [503, 503, 200]
        assert run.echo.taken == 1


async def test_a_fault_that_stays_goes_when_cleared(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await run.control("POST", "faults", json={"server_error": True, "slow_seconds": 0.05})
        began = time.perf_counter()
        assert [(await run.send()).status_code for _ in range(2)] == [503, 503]
        assert time.perf_counter() - began >= 0.1
        assert (await run.control("DELETE", "faults")).json() == {
            **dict.fromkeys(SWITCHES, 0),
            "slow_seconds": 0.0,
        }
        assert (await run.send()).status_code == 200


@pytest.mark.parametrize(
    "values",
    [
        {"nothing": True},
        {"down": -1},
        {"down": "yes"},
        {"slow_seconds": 121},
        {"down": True, "slow_seconds": -1},
    ],
)
async def test_a_wrong_fault_is_refused_and_changes_nothing(tmp_path: Path, values: dict[str, Any]) -> None:
    async with running(tmp_path) as run:
        assert (await run.control("POST", "faults", json=values)).status_code == 400
        assert (await run.send()).status_code == 200


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"content": b'{"down": true}', "headers": {"content-type": "text/plain"}}, 415),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400),
        ({"json": [1]}, 400),
        ({"json": {"down": "x" * (1 << 20)}}, 413),
    ],
)
async def test_the_control_takes_json_alone(tmp_path: Path, values: dict[str, Any], status: int) -> None:
    # What a page of another site can send without asking is no JSON.
    async with running(tmp_path) as run:
        assert (await run.control("POST", "faults", **values)).status_code == status
        assert (await run.control("GET", "faults")).json()["down"] == 0


async def test_the_log_tells_the_latest_first(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await run.send(b"x" * (KEPT_BODY_BYTES + 1))
        await run.send(b"last")
        latest, first = (await run.control("GET", "log")).json()
        assert (latest["body"], latest["answer"], latest["status"]) == ("last", '{"bytes":4}', 200)
        assert first["body"] == "x" * KEPT_BODY_BYTES
        assert len((await run.control("GET", "log?limit=1")).json()) == 1
        assert (await run.control("GET", "log?limit=-1")).status_code == 400


def test_the_log_is_bounded() -> None:
    log = RequestLog()
    for number in range(KEPT_REQUESTS + 5):
        log.add(Received("echo", "POST", f"/{number}", {}, "", 200, ""))
    latest = log.latest("echo", 10**9)
    assert (len(latest), latest[0].path) == (KEPT_REQUESTS, f"/{KEPT_REQUESTS + 4}")


async def test_an_answer_does_not_wait_for_an_acknowledgement(tmp_path: Path) -> None:
    # With Nagle's algorithm each took 40 ms from the second on; the quickest, as the machine may be busy.
    async with running(tmp_path) as run:
        times = []
        for _ in range(21):
            began = time.perf_counter()
            await run.send()
            times.append(time.perf_counter() - began)
        assert min(times[1:]) < 0.03


async def test_a_body_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        assert (await run.send(b"x" * ((8 << 20) + 1))).status_code == 413
        assert run.echo.taken == 0


async def test_credentials_are_private_and_outlive_a_restart(tmp_path: Path) -> None:
    tables = []
    for _ in range(2):
        async with running(tmp_path) as run:
            assert stat.S_IMODE(run.serving.providers_file.stat().st_mode) == 0o600
            tables.append(tomllib.loads(run.serving.providers_file.read_text("utf-8"))["echo"])
    assert tables[0]["key"] == tables[1]["key"]
    assert len(tables[0]["key"]) == 64
    async with running(tmp_path / "other") as run:
        assert tables[0]["key"] not in run.serving.providers_file.read_text("utf-8")


@given(
    values=st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=30)
        | st.integers(-(2**63), 2**63 - 1)
        | st.booleans(),
        max_size=4,
    )
)
def test_the_providers_file_says_what_it_was_told(
    values: dict[str, str | int | bool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    class Told(Echo):
        def provider_settings(self) -> Mapping[str, Settings]:
            return {"told": {**values, "inner": {"a": "1"}}}

    values.pop("inner", None)
    path = tmp_path_factory.mktemp("told") / "providers.toml"
    write_providers(path, [Told()])
    assert tomllib.loads(path.read_text("utf-8")) == {"told": {**values, "inner": {"a": "1"}}}


async def test_the_phone_shows_a_person_all_their_addresses(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        run.echo.show(PhoneMessage(openid_of("alice"), Look.CARD, "s", "one"))
        run.echo.show(PhoneMessage("device-7", Look.PUSH, "s", "two"))
        state = (await run.client.get("/phone/state")).json()
        assert [(each["person"], each["title"]) for each in state["messages"]] == [
            ("alice", "one"),
            ("device-7", "two"),
        ]
        answer = await run.client.post("/control/people", json={"address": "device-7", "person": "alice"})
        assert answer.status_code == 200
        state = (await run.client.get("/phone/state")).json()
        assert [each["person"] for each in state["messages"]] == ["alice", "alice"]


async def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        page = await run.client.get("/")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "src=" not in page.text
        assert "http://" not in page.text
        assert "https://" not in page.text


def test_a_message_takes_the_place_of_the_one_before() -> None:
    echo = Echo()
    for title, address in (("old", "a"), ("other", "b"), ("new", "a")):
        echo.show(PhoneMessage(address, Look.PUSH, "s", title, replaces="k"))
    assert [message.title for message in echo.messages()] == ["other", "new"]
    for number in range(KEPT_MESSAGES + 5):
        echo.show(PhoneMessage("a", Look.PUSH, "s", str(number)))
    assert len(list(echo.messages())) == KEPT_MESSAGES


def test_people_are_bounded_and_the_latest_stay() -> None:
    people = People()
    for number in range(MAX_ADDRESSES + 10):
        people.assign(f"d{number}", "bob")
    assert people.owner("d0") == "d0"
    assert people.owner(f"d{MAX_ADDRESSES + 9}") == "bob"


@given(st.lists(st.sampled_from(sorted(SWITCHES)), max_size=30), st.integers(0, 5))
def test_a_fault_strikes_as_often_as_it_was_set(names: list[str], times: int) -> None:
    faults = Faults()
    faults.set(dict.fromkeys(SWITCHES, times))
    for name in SWITCHES:
        assert sum(faults.take(name) for each in names if each == name) == min(times, names.count(name))


def test_a_fault_is_named_when_it_is_not_there() -> None:
    with pytest.raises(UnknownFault, match="cut_after_send"):
        Faults().set({"cut": True})


def test_every_stand_in_has_a_name_of_its_own() -> None:
    names = [standin.name for standin in all_standins()]
    assert len(set(names)) == len(names)
    assert not set(names) & {"control", "phone"}


async def start(data: Path, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "smartex_standins",
        "--data",
        str(data),
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().split()[-1]


@pytest.mark.parametrize("way", ["signal", "parent"])
async def test_the_program_says_where_it_is_and_leaves(tmp_path: Path, way: str) -> None:
    words = ["--port", "0"] + (["--with-parent"] if way == "parent" else [])
    process = await start(tmp_path, *words)
    url, providers = await line(process), await line(process)
    text = await asyncio.to_thread(Path(providers).read_text, "utf-8")
    assert {"wechat", "wecom_app", "fcm", "apns"} <= set(tomllib.loads(text))
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).status_code == 200
    if way == "parent":
        assert process.stdin is not None
        process.stdin.close()
    else:
        process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(process.communicate(), 15)
    assert (process.returncode, errors) == (0, b"")


async def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        port = run.serving.url.rsplit(":", 1)[1]
        process = await start(tmp_path / "b", "--port", port)
        _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert errors.decode() == (
        f"smartex_standins: port {port} is taken: stop the other program or set --port\n"
    )
