import os
import stat
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from smartex_store import (
    DataFolderLocked,
    DataFolderReadOnly,
    DataFolderTooNew,
    DataFolderVersionMismatch,
    running_url,
)
from smartex_store.cluster import socket_url
from smartex_store.folder import FORMAT_VERSION, DataFolder, write_private


def test_claim_makes_the_folder_with_its_format(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "a" / "b")
    folder.claim()
    assert (folder.root / "VERSION").read_text() == f"{FORMAT_VERSION}\n"
    assert (folder.root / "LOCK").read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    folder.release()


def test_a_second_claim_is_refused_and_names_the_holder(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.claim()
    with pytest.raises(DataFolderLocked) as caught:
        second.claim()
    assert caught.value.pid == os.getpid()
    first.release()
    second.claim()
    second.release()


def test_a_newer_folder_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text(f"{FORMAT_VERSION + 1}\n")
    with pytest.raises(DataFolderTooNew) as caught:
        DataFolder(tmp_path).claim()
    assert (caught.value.found, caught.value.known) == (FORMAT_VERSION + 1, FORMAT_VERSION)
    assert [path.name for path in tmp_path.iterdir()] == ["VERSION"]


@pytest.mark.parametrize("text", ["", "one", "0"])
def test_an_unreadable_or_older_format_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "VERSION").write_text(text)
    with pytest.raises(DataFolderVersionMismatch):
        DataFolder(tmp_path).claim()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DataFolderReadOnly):
        DataFolder(tmp_path / "data").claim()


def test_something_else_in_the_place_of_the_cluster_is_refused(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.major() is None
    folder.pgdata.mkdir()
    with pytest.raises(DataFolderVersionMismatch):
        folder.major()
    (folder.pgdata / "PG_VERSION").write_text("18\n")
    assert folder.major() == 18


def test_the_password_is_made_once_and_private(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    password = folder.password()
    assert len(password) >= 24
    assert DataFolder(tmp_path).password() == password
    assert stat.S_IMODE((tmp_path / "postgres.password").stat().st_mode) == 0o600


def test_the_url_survives_any_folder_and_password(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    write_private(tmp_path / "postgres.password", "p@ss/w?rd&#% ü")
    parts = urlsplit(socket_url(folder, Path("/tmp/a b&c"), 5432))
    assert unquote(parts.password or "") == "p@ss/w?rd&#% ü"
    assert parse_qs(parts.query) == {"host": ["/tmp/a b&c"], "port": ["5432"]}


def test_no_url_where_no_server_runs(tmp_path: Path) -> None:
    assert running_url(tmp_path) is None
