from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import InputError
from data_contracts.rec_id import RecId, verified
from data_contracts.vocabulary import Channel

KEY = b"a key for tests"
users = st.integers(0, 2**63 - 1)
answers = st.builds(
    RecId,
    channel=st.sampled_from(list(Channel)),
    snapshot_id=st.just("") | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\.[1-9][0-9]?\Z"),
    policy_hash=st.binary(min_size=8, max_size=8).map(bytes.hex),
    time=st.datetimes(timezones=st.just(UTC)),
)
EXAMPLE = RecId(Channel.WEB, "2026-03-16.1", "00ff" * 4, datetime(2026, 3, 16, 9, 30, tzinfo=UTC))


@given(answers, users)
def test_a_signed_id_says_what_was_signed(answer: RecId, user_id: int) -> None:
    rec_id = answer.signed(user_id=user_id, key=KEY)
    assert verified(rec_id, user_id=user_id, key=KEY) == answer
    assert rec_id.isascii()
    assert not set(rec_id) & set("+/=?&# ")


@given(answers, users, users)
def test_an_id_of_another_user_is_refused(answer: RecId, user_id: int, other: int) -> None:
    rec_id = answer.signed(user_id=user_id, key=KEY)
    if user_id != other:
        with pytest.raises(InputError, match="rec_id"):
            verified(rec_id, user_id=other, key=KEY)


@given(answers, users, st.data())
def test_an_id_with_any_character_changed_is_refused(answer: RecId, user_id: int, data: st.DataObject) -> None:
    rec_id = answer.signed(user_id=user_id, key=KEY)
    place = data.draw(st.integers(0, len(rec_id) - 1))
    character = data.draw(st.characters().filter(lambda one: one != rec_id[place]))
    with pytest.raises(InputError, match="rec_id"):
        verified(rec_id[:place] + character + rec_id[place + 1 :], user_id=user_id, key=KEY)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="rec_id"):
        verified(text, user_id=1, key=KEY)


def test_an_id_signed_with_another_key_is_refused() -> None:
    rec_id = EXAMPLE.signed(user_id=7, key=b"other")
    with pytest.raises(InputError, match="rec_id"):
        verified(rec_id, user_id=7, key=KEY)


def test_an_id_stays_what_it_was_in_later_versions() -> None:
    assert EXAMPLE.signed(user_id=7, key=KEY) == "AQIABk0g3NyWAAD_AP8A_wD_MjAyNi0wMy0xNi4xCebHmQ7BiTHKxYrkzQB03g"
