"""The key of addresses and the file of providers."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from notifications.callbacks.links import app_link, link_fits, unsubscribe_url
from notifications.domain.notice import Card
from notifications.providers import read_providers
from notifications.vault import KeyWrong, Vault, open_vault
from smartex_chassis import SettingsInvalid

SECRETS = {"auth": "s3cret"}


def test_what_was_sealed_is_opened_and_never_looks_the_same() -> None:
    vault = Vault(b"k" * 32)
    sealed = vault.seal("a-1", "alice@example.com", SECRETS)
    opened = vault.open("a-1", sealed)
    assert (opened.value, opened.secrets) == ("alice@example.com", SECRETS)
    assert b"alice" not in sealed
    assert vault.seal("a-1", "alice@example.com", SECRETS) != sealed


def test_a_sealed_address_is_of_no_use_elsewhere() -> None:
    vault = Vault(b"k" * 32)
    sealed = vault.seal("a-1", "alice@example.com", {})
    for broken in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", b"short"):
        with pytest.raises(KeyWrong):
            vault.open("a-1", broken)
    with pytest.raises(KeyWrong):
        vault.open("a-2", sealed)
    with pytest.raises(KeyWrong):
        Vault(b"x" * 32).open("a-1", sealed)


def test_fingerprints_find_an_address_and_depend_on_key_and_channel() -> None:
    vault = Vault(b"k" * 32)
    assert vault.fingerprint("email", "a@b") == vault.fingerprint("email", "a@b")
    assert vault.fingerprint("sms", "a@b") != vault.fingerprint("email", "a@b")
    assert Vault(b"x" * 32).fingerprint("email", "a@b") != vault.fingerprint("email", "a@b")


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "addresses.key"
    sealed = open_vault(path).seal("a", "x", {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_vault(path).open("a", sealed).value == "x"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "abcd", "zz" * 32, "ab" * 31])
def test_a_file_that_is_no_key_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "addresses.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(SettingsInvalid, match="addresses_key_file"):
        open_vault(path)
    assert path.read_text() == content


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "addresses.key"
    open_vault(path)
    path.chmod(0o644)
    with pytest.raises(SettingsInvalid, match="chmod 600"):
        open_vault(path)


def test_a_link_names_its_address_and_cannot_be_made_by_others() -> None:
    vault = Vault(b"k" * 32)
    url = unsubscribe_url("https://exchange.example/", vault, "a-1")
    assert url.startswith("https://exchange.example/callbacks/unsubscribe/a-1/")
    proof = url.rsplit("/", 1)[1]
    assert link_fits(vault, "a-1", proof)
    assert not link_fits(vault, "a-2", proof)
    assert not link_fits(Vault(b"x" * 32), "a-1", proof)
    assert not link_fits(vault, "a-1", "é")
    assert unsubscribe_url("", vault, "a-1") == ""


def test_a_tap_opens_the_thing_itself_or_the_inbox() -> None:
    advice = Card(2, "ad/17?x")
    assert app_link("https://app.example/", advice, "n:1") == "https://app.example/advice/ad%2F17%3Fx"
    assert app_link("https://app.example", Card(), "n:1") == "https://app.example/inbox/n%3A1"
    assert app_link("", advice, "n:1") == ""


def test_without_a_file_there_are_no_channels() -> None:
    providers = read_providers(None)
    assert providers.configured == frozenset()
    assert providers.webpush_key == ""
    assert providers.provider_template("alert") == "alert"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[telegraph]\nx = 1", r"\[telegraph\] is no channel"),
        ("[inbox]\nx = 1", r"\[inbox\] is no channel"),
        ("[fcm]\nnonsense = 1", r"\[fcm\] nonsense"),
        ("[email]\nhost = 'h'", r"\[email\] sender"),
        ("app_secret = 'TOPSECRET'", "outside of a table"),
        ("[fcm\npassword = 'TOPSECRET", "is no TOML"),
    ],
)
def test_a_wrong_file_is_refused_without_its_secrets(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid, match=words) as refused:
        read_providers(path)
    assert "TOPSECRET" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        read_providers(tmp_path / "none.toml")


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    path.write_text("[telegraph]\n[fcm]\nnonsense = 1\n[email]\nhost = 'h'")
    with pytest.raises(SettingsInvalid) as refused:
        read_providers(path)
    told = "\n".join(refused.value.problems)
    assert "telegraph" in told
    assert "[fcm]" in told
    assert "[email]" in told
