"""The state behind the stand-ins of WeChat and WeCom, on a clock of its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_standins.faults import Faults
from smartex_standins.standin import Look
from smartex_standins.wechat_account import Account
from smartex_standins.wechat_callbacks import to_xml
from smartex_standins.wechat_crypto import CallbackSealer, encoding_aes_key
from smartex_standins.wechat_errcodes import Errcode
from smartex_standins.wechat_limits import Repeats, Windows
from smartex_standins.wechat_templates import DEFAULTS, read_template
from smartex_standins.wechat_tokens import Tokens
from smartex_standins.wecom_messages import app_message, robot_message

ALICE = "o" * 28
DATA = {"thing1": {"value": "AAPL"}, "thing2": {"value": "text"}, "time3": {"value": "09:30"}}
OFF = Faults()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(clock: Clock) -> Account:
    made = Account(clock)
    made.add_defaults(lambda name: name)
    made.scan(ALICE)
    return made


def body(**values: object) -> dict[str, Any]:
    return {"touser": ALICE, "template_id": "template message", "data": DATA, **values}


def errcode(call: Any, *args: object) -> int:
    with pytest.raises(Errcode) as caught:
        call(*args)
    return caught.value.code


def test_a_token_stays_until_five_minutes_before_its_end(clock: Clock) -> None:
    tokens = Tokens(clock)
    first, seconds = tokens.give()
    assert seconds == 7200
    clock.now += 7200 - 301
    assert tokens.give() == (first, 301)
    clock.now += 1
    second, _ = tokens.give()
    assert second != first
    # The old one is good to its end, so that nobody is cut off by the change.
    assert tokens.state(first, OFF) == "good"
    clock.now += 300
    assert tokens.state(first, OFF) == "expired"
    assert tokens.state("made up", OFF) == "unknown"


def test_a_forced_renewal_ends_the_others_and_is_rare(clock: Clock) -> None:
    tokens = Tokens(clock)
    first, _ = tokens.give()
    assert tokens.force() is not None
    assert tokens.state(first, OFF) == "unknown"
    clock.now += 29
    assert tokens.force() is None
    for _ in range(19):
        clock.now += 30
        assert tokens.force() is not None
    clock.now += 30
    assert tokens.force() is None


def test_a_token_expires_at_the_fault(clock: Clock) -> None:
    tokens, faults = Tokens(clock), Faults()
    token, _ = tokens.give()
    faults.set({"token_expired": 1})
    assert tokens.state("made up", faults) == "unknown"
    assert tokens.state(token, faults) == "expired"
    assert tokens.give()[0] != token


def test_a_window_opens_again_after_its_time(clock: Clock) -> None:
    window = Windows(60, 2, clock)
    assert [window.take("a") for _ in range(3)] == [True, True, False]
    assert window.take("b")
    clock.now += 59.9
    assert not window.take("a")
    clock.now += 0.1
    assert window.take("a")


def test_a_repeat_is_forgotten_after_its_time(clock: Clock) -> None:
    repeats = Repeats(clock)
    repeats.keep("a", "7", 600)
    assert repeats.find("a") == "7"
    clock.now += 600
    assert repeats.find("a") is None


def test_a_client_msg_id_is_good_for_ten_minutes(account: Account, clock: Clock) -> None:
    first = account.send_template(body(client_msg_id="d1"))
    again = account.send_template(body(client_msg_id="d1"))
    assert (first.new, again.new, again.msgid) == (True, False, first.msgid)
    clock.now += 600
    assert account.send_template(body(client_msg_id="d1")).new


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"touser": "x"}, 40003),
        ({"template_id": "x"}, 40037),
        ({"data": []}, 47001),
        ({"data": {}}, 47003),
        ({"data": {**DATA, "thing1": {"value": "长" * 21}}}, 47003),
        ({"data": {**DATA, "thing1": "AAPL"}}, 47003),
        ({"data": {**DATA, "time3": {"value": "soon"}}}, 47003),
    ],
)
def test_what_a_template_message_needs(account: Account, changes: dict[str, Any], code: int) -> None:
    assert errcode(account.send_template, body(**changes)) == code


def test_the_quota_is_a_days(account: Account, clock: Clock) -> None:
    account.quota.limit = 1
    account.send_template(body(client_msg_id="d1"))
    assert errcode(account.send_template, body()) == 45009
    # A repeat costs nothing.
    assert not account.send_template(body(client_msg_id="d1")).new
    clock.now += 86_400
    assert account.send_template(body()).new


def test_who_came_may_be_written_to_for_a_minute(account: Account, clock: Clock) -> None:
    text = {"touser": ALICE, "msgtype": "text", "text": {"content": "hi"}}
    for _ in range(3):
        account.send_text(text)
    assert errcode(account.send_text, text) == 45047
    clock.now += 60
    assert errcode(account.send_text, text) == 45015
    assert errcode(account.send_text, {**text, "text": {"content": "长" * 683}}) == 45002
    assert errcode(account.send_text, {**text, "msgtype": "image"}) == 40008


def test_a_code_expires(account: Account, clock: Clock) -> None:
    asked = {
        "expire_seconds": 60,
        "action_name": "QR_STR_SCENE",
        "action_info": {"scene": {"scene_str": "s"}},
    }
    code = account.create_code(asked)
    assert account.find_code("s") == account.find_code(code.url) == account.find_code(code.ticket) == code
    clock.now += 60
    assert account.find_code("s") is None
    lasting = account.create_code({**asked, "action_name": "QR_LIMIT_STR_SCENE"})
    clock.now += 10**8
    assert account.codes() == [lasting]


@pytest.mark.parametrize(
    "changes",
    [
        {"action_name": "QR"},
        {"expire_seconds": 2_592_001},
        {"expire_seconds": "60"},
        {"action_info": {}},
        {"action_info": {"scene": {"scene_str": "x" * 65}}},
        {"action_info": {"scene": "x"}},
    ],
)
def test_a_code_that_cannot_be(account: Account, changes: dict[str, Any]) -> None:
    asked = {
        "expire_seconds": 60,
        "action_name": "QR_STR_SCENE",
        "action_info": {"scene": {"scene_str": "s"}},
    }
    assert errcode(account.create_code, {**asked, **changes}) == 47001


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_default_templates_are_what_their_content_says(name: str) -> None:
    title, content = DEFAULTS[name]
    assert read_template("id", title, content).content == content


@pytest.mark.parametrize("content", ["", "no fields", "a：{{unknown1.DATA}}", "a：{{thing.DATA}}"])
def test_a_template_without_known_fields_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="content"):
        read_template("id", "title", content)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_is_sealed_is_opened(text: str) -> None:
    sealer = CallbackSealer("t", encoding_aes_key("ab" * 32), "wx1")
    assert sealer.decrypt(sealer.encrypt(text)) == text


def test_an_answer_of_another_account_is_not_read() -> None:
    key = encoding_aes_key("ab" * 32)
    with pytest.raises(ValueError, match="another account"):
        CallbackSealer("t", key, "wx1").decrypt(CallbackSealer("t", key, "wx2").encrypt("x"))


def test_xml_of_a_callback() -> None:
    assert to_xml("xml", {"A": "<&>", "L": [{"B": 1}, {"B": 2}]}) == (
        "<xml><A>&lt;&amp;&gt;</A><L><B>1</B></L><L><B>2</B></L></xml>"
    )


def test_a_card_of_wecom_shows_its_text_without_markup() -> None:
    card = {"title": "t" * 200, "description": "<div class='gray'>a &lt; b</div>", "url": "https://x.test"}
    shown = app_message({"msgtype": "textcard", "textcard": card}, "app")("alice")
    assert (shown.look, shown.title, shown.body) == (Look.CARD, "t" * 128, "a < b")


def test_a_long_text_is_cut_for_members_and_refused_to_a_robot() -> None:
    message = {"msgtype": "text", "text": {"content": "长" * 683}}  # 2049 bytes
    assert app_message(message, "app")("alice").body == "长" * 682
    assert errcode(robot_message, message, "group") == 40058


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({}, 40008),
        ({"msgtype": "news", "news": {}}, 40008),
        ({"msgtype": ["text"]}, 40008),
        ({"msgtype": "text", "text": {"content": " "}}, 44004),
        (
            {"msgtype": "textcard", "textcard": {"title": "t", "description": "d", "url": "javascript:x"}},
            40058,
        ),
        ({"msgtype": "textcard", "textcard": {"title": "t"}}, 40058),
    ],
)
def test_what_wecom_does_not_take(message: dict[str, Any], code: int) -> None:
    assert errcode(app_message, message, "app") == code
