"""Events as the documentation of WeChat shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.channels.wechat.crypto import CallbackRefused
from notifications.channels.wechat.events import (
    CallbackEvent,
    Followed,
    Other,
    Receipt,
    ReceiptStatus,
    Scanned,
    SubscriptionChanged,
    Unfollowed,
    read_event,
)
from notifications.channels.wechat.replays import WINDOW, ReplayGuard
from notifications.channels.wechat.xml import XmlRefused, parse_xml, write_xml

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def event(kind: str, inner: str = "") -> CallbackEvent:
    head = "<ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1610969440</CreateTime>"
    body = f"<MsgType>event</MsgType><Event><![CDATA[{kind}]]></Event>{inner}"
    return read_event(parse_xml(f"<xml>{head}{body}</xml>".encode()))


def test_following_by_a_code_carries_its_scene() -> None:
    got = event("subscribe", "<EventKey>qrscene_link-42</EventKey><Ticket>T</Ticket>")
    assert isinstance(got, Followed)
    assert (got.scene, got.key) == ("link-42", "event:o1:1610969440:subscribe")


def test_following_without_a_code_has_no_scene() -> None:
    got = event("subscribe", "<EventKey></EventKey>")
    assert isinstance(got, Followed)
    assert got.scene == ""


def test_a_scan_carries_its_scene_as_it_is() -> None:
    got = event("SCAN", "<EventKey>qrscene_is_my_name</EventKey>")
    assert isinstance(got, Scanned)
    assert got.scene == "qrscene_is_my_name"


def test_unfollowing() -> None:
    assert isinstance(event("unsubscribe"), Unfollowed)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("success", ReceiptStatus.DELIVERED),
        ("failed:user block", ReceiptStatus.BLOCKED),
        ("failed: user block", ReceiptStatus.BLOCKED),
        ("failed: system failed", ReceiptStatus.FAILED),
    ],
)
def test_receipts_of_template_messages(word: str, status: ReceiptStatus) -> None:
    got = event("TEMPLATESENDJOBFINISH", f"<MsgID>200163836</MsgID><Status>{word}</Status>")
    assert isinstance(got, Receipt)
    assert (got.provider_id, got.status, got.key) == ("200163836", status, "receipt:200163836")


@pytest.mark.parametrize(("code", "status"), [("0", "delivered"), ("43101", "failed")])
def test_receipts_of_subscription_messages(code: str, status: str) -> None:
    item = f"<TemplateId>T</TemplateId><MsgID>17</MsgID><ErrorCode>{code}</ErrorCode><ErrorStatus>s</ErrorStatus>"
    got = event(
        "subscribe_msg_sent_event",
        f"<SubscribeMsgSentEvent><List>{item}</List></SubscribeMsgSentEvent>",
    )
    assert isinstance(got, Receipt)
    assert (got.provider_id, got.status, got.detail) == ("17", status, "s")


@pytest.mark.parametrize("kind", ["subscribe_msg_popup_event", "subscribe_msg_change_event"])
def test_allowed_and_refused_templates(kind: str) -> None:
    def item(template: str, choice: str) -> str:
        return (
            f"<List><TemplateId>{template}</TemplateId>"
            f"<SubscribeStatusString>{choice}</SubscribeStatusString></List>"
        )

    listed = item("A", "accept") + item("B", "reject") + item("C", "accept")
    # The documentation shows the element of the popup around the list of a change, too.
    got = event(kind, f"<SubscribeMsgPopupEvent>{listed}</SubscribeMsgPopupEvent>")
    assert isinstance(got, SubscriptionChanged)
    assert (got.accepted, got.rejected) == (("A", "C"), ("B",))


def test_other_events_and_messages_are_named() -> None:
    got = event("CLICK")
    assert isinstance(got, Other)
    assert got.kind == "CLICK"


@given(st.text(max_size=60))
def test_any_text_survives_being_written_and_read(text: str) -> None:
    allowed = "".join(
        char
        for char in text
        if char >= " " and not 0xD800 <= ord(char) <= 0xDFFF and char not in "\ufffe\uffff"
    )
    assert parse_xml(write_xml("xml", {"Content": allowed}).encode()).get("Content") == allowed


@given(st.binary(max_size=200))
def test_any_bytes_are_xml_or_refused(data: bytes) -> None:
    try:
        root = parse_xml(data)
        read_event(root)
    except (XmlRefused, CallbackRefused):
        pass


def test_a_full_memory_of_replays_refuses_rather_than_forgets() -> None:
    guard = ReplayGuard(capacity=2)
    stamp = str(int(NOW.timestamp()))
    guard.admit(stamp, "a", NOW)
    guard.admit(stamp, "b", NOW)
    with pytest.raises(CallbackRefused, match="OVERLOADED"):
        guard.admit(stamp, "c", NOW)
    later = NOW + 2 * WINDOW + timedelta(seconds=1)
    guard.admit(str(int(later.timestamp())), "a", later)
