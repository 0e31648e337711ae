"""What each channel takes for an address, how it is shown, and the codes that prove it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.domain.addresses import canonical, code, code_fits, masked, problems
from notifications.domain.sending import ChannelKind

GOOD = [
    (ChannelKind.SMS, "+8613800000001", {}),
    (ChannelKind.EMAIL, "alice.b+x@mail.example.com", {}),
    (ChannelKind.EMAIL, "用户@例子.公司", {}),
    (ChannelKind.APNS, "ab" * 32, {}),
    (ChannelKind.FCM, "t" * 160 + ":APA91b-_", {}),
    (ChannelKind.WEBPUSH, "https://push.example/abc", {"p256dh": "x", "auth": "y"}),
    (ChannelKind.WEBHOOK, "https://example.com/hook", {"secret": "whsec_x", "secret_old": "whsec_y"}),
    (ChannelKind.WECOM_APP, "zhang.san", {}),
    (ChannelKind.WECOM_ROBOT, "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa", {}),
    (ChannelKind.APPRISE, "tgram://123:abc/456", {}),
    (ChannelKind.APPRISE, "slack://T1/B1/x/%23general", {}),
]


@pytest.mark.parametrize(("channel", "value", "secrets"), GOOD)
def test_good_addresses(channel: ChannelKind, value: str, secrets: dict[str, str]) -> None:
    assert list(problems(channel, value, secrets, "my phone")) == []


@pytest.mark.parametrize(
    ("channel", "value", "secrets", "field"),
    [
        (ChannelKind.INBOX, "x", {}, "channel"),
        (ChannelKind.WECHAT, "openid", {}, "channel"),
        (ChannelKind.SMS, "8613800000001", {}, "value"),
        (ChannelKind.SMS, "+0", {}, "value"),
        (ChannelKind.SMS, "+8613800000001\n", {}, "value"),
        (ChannelKind.EMAIL, "alice@@example.com", {}, "value"),
        (ChannelKind.EMAIL, "alice<x>@example.com", {}, "value"),
        (ChannelKind.APNS, "xy" * 32, {}, "value"),
        (ChannelKind.WECOM_APP, "a|b", {}, "value"),
        (ChannelKind.WECOM_APP, "@all", {}, "value"),
        (ChannelKind.APPRISE, "tgram://123:abc/456/?x=1;template=/etc/passwd", {}, "value"),
        (ChannelKind.APPRISE, "tgram://123:abc/456/#?template=/etc/passwd", {}, "value"),
        (ChannelKind.WEBPUSH, "https://push.example/abc", {"auth": "y"}, "secrets[p256dh]"),
        (ChannelKind.WEBHOOK, "https://example.com", {"secret": "x", "token": "y"}, "secrets[token]"),
        (ChannelKind.WEBHOOK, "https://example.com", {f"secret{n}": "x" for n in range(6)}, "secrets"),
    ],
)
def test_wrong_addresses_are_named(
    channel: ChannelKind, value: str, secrets: dict[str, str], field: str
) -> None:
    assert field in [name for name, _ in problems(channel, value, secrets, "")]


@pytest.mark.parametrize(
    ("channel", "value", "shown"),
    [
        (ChannelKind.EMAIL, "alice@example.com", "a…e@example.com"),
        (ChannelKind.EMAIL, "al@example.com", "…@example.com"),
        (ChannelKind.SMS, "+8613800000001", "+86…001"),
        (ChannelKind.WEBHOOK, "https://user:pw@example.com:8443/secret?key=1", "https://example.com:8443/…"),
        (ChannelKind.APPRISE, "tgram://123456789:secret/42", "tgram://123…ret/…"),
        (ChannelKind.FCM, "abcdefghijklmnopqrstuvwxyz", "abc…xyz"),
    ],
)
def test_addresses_are_shown_with_their_middle_hidden(channel: ChannelKind, value: str, shown: str) -> None:
    assert masked(channel, value) == shown


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=3, max_size=60))
def test_at_most_six_characters_of_an_address_are_shown(value: str) -> None:
    if "://" in value or "@" in value:
        return
    assert len(masked(ChannelKind.FCM, value)) <= 7
    assert masked(ChannelKind.FCM, value) != value


def test_two_spellings_of_one_address() -> None:
    assert canonical(ChannelKind.EMAIL, "Alice@EXAMPLE.com") == "Alice@example.com"
    assert canonical(ChannelKind.APNS, "ABCD") == "abcd"


def test_a_code_is_six_digits_of_its_address_and_its_sending() -> None:
    key = b"k" * 32
    first = code(key, "a-1", "n-1")
    assert len(first) == 6
    assert first.isdigit()
    assert code(key, "a-1", "n-1") == first
    assert len({code(key, "a-1", f"n-{n}") for n in range(50)}) > 45
    assert code_fits(first, first)
    assert not code_fits(first, "")
    assert not code_fits(first, first + " ")
