"""Settings that would be found wrong only when somebody needs them."""

from pathlib import Path

import pytest
from notifications.settings import NotificationsSettings
from smartex_chassis import LocalIssuer, SettingsInvalid, load


def test_keys_that_are_not_there_are_told_and_not_made(tmp_path: Path) -> None:
    load(NotificationsSettings).check_keys()
    settings = load(NotificationsSettings, delegation_keys=tmp_path / "keys")
    with pytest.raises(SettingsInvalid, match=r"no signing_key\.pem"):
        settings.check_keys()
    assert list(tmp_path.iterdir()) == []
    LocalIssuer(tmp_path / "keys")
    settings.check_keys()
