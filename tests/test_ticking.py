"""Each has its tick, whatever the others do."""

from eas_processor.ticking import tick_each


def test_one_that_fails_keeps_no_other_from_its_turn():
    ticked = []

    def fails():
        raise RuntimeError("broken")

    tick_each([lambda: ticked.append(1), fails, lambda: ticked.append(2)])
    assert ticked == [1, 2]
