"""What GetModelStatus is told of services; the states' own names are tested through REST."""

import pytest

from eas_processor.errors import Code, ServingError
from eas_processor.pool.awake import Awake
from eas_processor.serving.lifecycle import State
from eas_processor.serving.service import Service
from eas_processor.serving.states import STATES, ServiceStates


class Plan:
    """As little of a plan as a version that never starts needs."""

    name = "m"
    calls_at_once = 1
    queue_calls_max = 1


@pytest.fixture
def service():
    made = Service("m", Awake(), lambda: None)
    for number in (1, 3, 2):
        made.add(number, Plan())
    return made


def numbers(service, *which):
    return [row.version for row in ServiceStates({"m": service}).status("m", *which)]


def test_every_state_has_a_name():
    assert set(STATES) == set(State)


def test_all_versions_newest_first_or_the_one_that_is_named(service):
    assert numbers(service) == [3, 2, 1]
    assert numbers(service, 1) == [1]


@pytest.mark.parametrize(
    ("which", "code", "words"),
    [
        (("no",), Code.NOT_FOUND, "Could not find any versions of model no"),
        (("m", 9), Code.NOT_FOUND, "Could not find version 9 of model m"),
    ],
)
def test_what_is_not_there_is_told_in_the_peers_words(service, which, code, words):
    with pytest.raises(ServingError) as told:
        ServiceStates({"m": service}).status(*which)
    assert (told.value.code, told.value.message) == (code, words)
