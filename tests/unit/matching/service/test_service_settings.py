"""Settings that would be found wrong only hours after the start."""

from pathlib import Path

import pytest
from matching.settings import MatchingSettings
from smartex_chassis import SettingsInvalid, load


def test_a_folder_that_takes_no_snapshots_is_told(tmp_path: Path) -> None:
    load(MatchingSettings, matching_data=tmp_path / "new" / "folder").check_folder()
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/smartex")):
        with pytest.raises(SettingsInvalid, match=r"SMARTEX_MATCHING_DATA=.*: cannot be written: "):
            load(MatchingSettings, matching_data=wrong).check_folder()
