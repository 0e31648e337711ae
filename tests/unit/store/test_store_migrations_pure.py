from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_store import MigrationChanged, MigrationInvalid, MigrationTooNew
from smartex_store.migrations import Applied, Migration, load, pending

names = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
files = st.lists(st.tuples(names, st.text(max_size=30)), max_size=6).map(
    lambda row: [Migration(number, name, sql) for number, (name, sql) in enumerate(row, start=1)]
)


def remembered(migrations: list[Migration]) -> list[Applied]:
    return [Applied(item.number, item.name, item.checksum) for item in migrations]


@given(files, st.data())
def test_what_is_pending_is_the_rest_in_order(migrations: list[Migration], data: st.DataObject) -> None:
    done = data.draw(st.integers(0, len(migrations)))
    assert pending("s", migrations, remembered(migrations[:done])) == migrations[done:]


@given(files.filter(bool), st.data())
def test_an_edited_past_is_refused(migrations: list[Migration], data: st.DataObject) -> None:
    victim = data.draw(st.integers(0, len(migrations) - 1))
    past = remembered(migrations)
    old = migrations[victim]
    migrations[victim] = Migration(old.number, old.name, old.sql + ";")
    with pytest.raises(MigrationChanged) as caught:
        pending("s", migrations, past)
    assert caught.value.number == victim + 1


@given(files.filter(bool), st.data())
def test_a_newer_database_is_refused(migrations: list[Migration], data: st.DataObject) -> None:
    known = data.draw(st.integers(0, len(migrations) - 1))
    with pytest.raises(MigrationTooNew) as caught:
        pending("s", migrations[:known], remembered(migrations))
    assert caught.value.number == known + 1


def test_a_renamed_file_is_refused() -> None:
    past = [Applied(1, "old_name", Migration(1, "x", "SELECT 1").checksum)]
    with pytest.raises(MigrationChanged):
        pending("s", [Migration(1, "new_name", "SELECT 1")], past)


def test_line_endings_do_not_count() -> None:
    assert Migration(1, "a", "x;\r\ny;\r\n").checksum == Migration(1, "a", "x;\ny;\n").checksum


def test_load_reads_in_order(tmp_path: Path) -> None:
    for number in (2, 1, 3):
        (tmp_path / f"000{number}_step_{number}.sql").write_text(f"SELECT {number}")
    (tmp_path / "README.md").write_text("not a migration")
    loaded = load("s", tmp_path)
    assert [(item.number, item.name, item.sql) for item in loaded] == [
        (number, f"step_{number}", f"SELECT {number}") for number in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    "names_of_files",
    [["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"], ["1_a.sql"], ["0001-a.sql"]],
)
def test_load_refuses_a_broken_row(tmp_path: Path, names_of_files: list[str]) -> None:
    for name in names_of_files:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationInvalid):
        load("s", tmp_path)


@pytest.mark.parametrize("schema", ["", "Upper", "a;b", 'a"b', "1a", "a" * 60])
def test_load_refuses_a_bad_schema(tmp_path: Path, schema: str) -> None:
    with pytest.raises(MigrationInvalid):
        load(schema, tmp_path)


def test_load_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(MigrationInvalid):
        load("s", tmp_path / "nothing")
