"""The table of states."""

import pytest

from eas_processor.serving.lifecycle import TRANSITIONS, Lifecycle, State


def test_every_state_has_a_row_and_can_reach_the_end():
    assert set(TRANSITIONS) == set(State)
    for state in State:
        seen, todo = set(), {state}
        while todo:
            seen |= todo
            todo = set().union(*(TRANSITIONS[one] for one in todo)) - seen
        assert State.STOPPED in seen


def test_a_step_that_the_table_lacks_is_refused():
    life = Lifecycle()
    with pytest.raises(ValueError, match="no way from NEW to READY"):
        life.move(State.READY)
    assert life.state is State.NEW


def test_a_state_tells_its_reason_in_words():
    life = Lifecycle()
    life.move(State.FAILED, "no model")
    assert str(life) == "failed: no model"
