"""Page tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_chassis import InvalidInput
from smartex_chassis.pages import make_token, page_size, read_token

keys = st.integers(-(2**63), 2**63 - 1)
scopes = st.lists(st.one_of(st.integers(), st.text(), st.none()), max_size=4)


@given(scopes, keys, keys)
def test_a_token_comes_back(scope: list[object], first: int, second: int) -> None:
    assert read_token(scope, make_token(scope, first, second)) == (first, second)


@given(scopes, scopes, keys)
def test_a_token_of_another_list_is_refused(scope: list[object], other: list[object], first: int) -> None:
    if scope != other:
        with pytest.raises(InvalidInput) as caught:
            read_token(other, make_token(scope, first))
        assert caught.value.field_violations[0].field == "page_token"


@given(scopes, keys, st.integers(0, 36), st.sampled_from("Aa0-_=+/ é\0"))
def test_a_changed_token_is_refused(scope: list[object], first: int, at: int, letter: str) -> None:
    token = make_token(scope, first)
    changed = token[:at] + letter + token[at + 1 :]
    if changed != token:
        with pytest.raises(InvalidInput):
            read_token(scope, changed)


@given(scopes, keys, st.sampled_from([-(2**63), -1, 3, 2**31, 2**63 - 1]))
def test_a_made_up_key_out_of_range_is_refused(scope: list[object], first: int, second: int) -> None:
    token = make_token(scope, first, second)
    with pytest.raises(InvalidInput) as caught:
        read_token(scope, token, seconds=range(3))
    assert caught.value.field_violations[0].field == "page_token"
    assert read_token(scope, make_token(scope, first, 2), seconds=range(3)) == (first, 2)


@given(st.text(max_size=60))
def test_any_text_is_refused_with_a_typed_error(text: str) -> None:
    if text:
        with pytest.raises(InvalidInput):
            read_token((), text)


def test_no_token_is_the_first_page() -> None:
    assert read_token(("x",), "") is None


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (1, 1), (1000, 1000)])
def test_page_sizes(asked: int, given: int) -> None:
    assert page_size(asked) == given


@pytest.mark.parametrize("asked", [-1, 1001, 2**31 - 1, -(2**31)])
def test_wrong_page_sizes_name_the_field(asked: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        page_size(asked)
    assert caught.value.field_violations[0].field == "page_size"
