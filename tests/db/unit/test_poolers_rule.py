"""When two connections are two sessions, by the server processes that answered them in turn."""

from hypothesis import given
from hypothesis import strategies as st

from db.poolers import are_two_sessions

processes = st.integers(1, 5)
answers = st.lists(processes, min_size=1, max_size=4)


@given(st.integers(1, 5), st.integers(6, 9), st.integers(1, 4))
def test_a_session_is_answered_by_one_process_of_its_own(one: int, other: int, times: int) -> None:
    assert are_two_sessions([one] * times, [other] * times)


@given(answers, answers)
def test_a_process_that_changes_or_is_shared_is_a_poolers(one: list[int], other: list[int]) -> None:
    changes = len(set(one)) > 1 or len(set(other)) > 1
    shared = bool(set(one) & set(other))
    assert are_two_sessions(one, other) == (not changes and not shared)
