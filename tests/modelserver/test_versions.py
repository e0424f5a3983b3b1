"""Version folders, policies, transitions and labels: decisions as tables."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_processor.modelserver import labels
from eas_processor.modelserver.configs import VersionPolicy
from eas_processor.modelserver.transitions import Action, Load, Phase, Unload, next_actions
from eas_processor.modelserver.versions import aspired, index, version_of

L, A, U, F = Phase.LOADING, Phase.AVAILABLE, Phase.UNLOADING, Phase.FAILED


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("1", 1),
        ("0", 0),
        ("00000123", 123),
        ("1649317932", 1649317932),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("v1", None),
        ("1 ", None),
        ("", None),
        ("١", None),
        ("0" * 100, None),
    ],
)
def test_a_folder_is_a_version_if_its_name_is_an_int64(name: str, version: int | None) -> None:
    assert version_of(name) == version


def test_of_two_folders_that_say_one_version_the_later_name_counts_with_a_warning() -> None:
    found, warnings = index(["2", "00000123", "123", "assets", "tmp-3"])
    assert found == {2: "2", 123: "123"}
    assert warnings == (
        "Duplicate version directories detected. Version 123 will be loaded from 123, "
        "00000123 will be ignored",
    )


FOUND = {1: "1", 2: "2", 3: "3", 10: "10"}


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (VersionPolicy(), {10}),
        (VersionPolicy(count=2), {3, 10}),
        (VersionPolicy(count=99), {1, 2, 3, 10}),
        (VersionPolicy(count=0), {10}),
        (VersionPolicy(kind="all"), {1, 2, 3, 10}),
        (VersionPolicy(kind="specific", versions=(1, 3)), {1, 3}),
        (VersionPolicy(kind="specific"), set()),
    ],
)
def test_a_policy_picks_versions_by_number_and_not_by_name(
    policy: VersionPolicy, wanted: set[int]
) -> None:
    assert aspired(policy, FOUND, "m", "/m").versions == wanted


def test_a_specific_version_that_is_missing_is_only_warned_of() -> None:
    result = aspired(VersionPolicy(kind="specific", versions=(2, 7)), FOUND, "m", "/models/m")
    assert result.versions == {2}
    (warning,) = result.warnings
    assert "Version 7 of servable m" in warning and "/models/m" in warning


def test_a_folder_without_versions_says_what_a_version_folder_looks_like() -> None:
    result = aspired(VersionPolicy(), {}, "m", "/models/m")
    assert result.versions == frozenset()
    assert "No versions of servable m found under base path /models/m" in result.warnings[0]
    assert "'/1/'" in result.warnings[0]


@pytest.mark.parametrize(
    ("wanted", "phases", "actions"),
    [
        ([], {}, []),
        ([1], {}, [Load(1)]),
        ([1, 3, 2], {}, [Load(3), Load(2), Load(1)]),
        ([1], {1: L}, []),
        ([1], {1: A}, []),
        # a new version loads first, the old one goes once it serves
        ([2], {1: A}, [Load(2)]),
        ([2], {1: A, 2: L}, []),
        ([2], {1: A, 2: A}, [Unload(1)]),
        ([2], {1: U, 2: A}, []),
        # of several old ones the newest is kept until then
        ([4], {1: A, 2: A, 3: A, 4: L}, [Unload(1), Unload(2)]),
        ([4], {1: A, 2: A, 3: A, 4: A}, [Unload(1), Unload(2), Unload(3)]),
        # one of the wanted is enough to let the old go
        ([3, 2], {1: A, 2: A}, [Unload(1), Load(3)]),
        # a failed new version keeps the old one in service
        ([2], {1: A, 2: F}, []),
        ([2, 3], {1: A, 2: F, 3: F}, []),
        # nothing wanted: everything goes
        ([], {1: A, 2: L, 3: U, 4: F}, [Unload(2), Unload(4), Unload(1)]),
        # what is no longer wanted is not loaded any further, nor remembered as failed
        ([3], {1: A, 2: L, 3: L}, [Unload(2)]),
        ([3], {1: A, 2: F, 3: L}, [Unload(2)]),
        # a rollback: wanted again, but on its way out; it must end first
        ([1], {1: U, 2: A}, []),
        ([1], {2: A}, [Load(1)]),
    ],
)
def test_transitions_preserve_availability(
    wanted: list[int], phases: dict[int, Phase], actions: list[Action]
) -> None:
    assert next_actions(wanted, phases) == actions


def run(wanted: frozenset[int], phases: dict[int, Phase], fails: frozenset[int]) -> None:
    """Do what is said until nothing is to be done; each action ends before the next look."""
    for _ in range(50):
        actions = next_actions(wanted, phases)
        if not actions:
            return
        had_service = A in phases.values()
        for action in actions:
            if isinstance(action, Unload):
                del phases[action.version]
            else:
                phases[action.version] = F if action.version in fails else A
        could_serve = wanted - fails or not wanted
        assert not had_service or A in phases.values() or not wanted or not could_serve
    raise AssertionError("it never comes to rest")


@given(
    wanted=st.frozensets(st.integers(1, 5)),
    phases=st.dictionaries(st.integers(1, 5), st.sampled_from([A, F])),
    fails=st.frozensets(st.integers(1, 5)),
)
def test_whatever_the_start_it_comes_to_rest_with_all_that_is_wanted(
    wanted: frozenset[int], phases: dict[int, Phase], fails: frozenset[int]
) -> None:
    run(wanted, phases, fails)
    assert all(version in phases for version in wanted)
    serving = {version for version, phase in phases.items() if phase is A}
    if serving & wanted or not wanted:
        assert serving <= wanted
    else:
        assert len(serving) <= 1


@pytest.mark.parametrize(
    ("current", "wanted", "available", "allowed", "now", "refused"),
    [
        ({}, {"stable": 1}, [1], False, {"stable": 1}, {}),
        ({}, {"stable": 1}, [], False, {}, {"stable": 1}),
        ({}, {"stable": 1}, [], True, {"stable": 1}, {}),
        # a label in use moves only to what is available, whatever is allowed
        ({"stable": 1}, {"stable": 2}, [1], True, {"stable": 1}, {"stable": 2}),
        ({"stable": 1}, {"stable": 2}, [1, 2], False, {"stable": 2}, {}),
        # set whole: those left out are gone
        ({"stable": 1, "canary": 2}, {"stable": 1}, [1, 2], False, {"stable": 1}, {}),
        ({"stable": 1}, {}, [1], False, {}, {}),
        # what it names may have gone meanwhile
        ({"stable": 1}, {"stable": 1}, [], False, {"stable": 1}, {"stable": 1}),
        ({"stable": 1}, {"stable": 1}, [], True, {"stable": 1}, {}),
        # one that has to wait does not keep those that are new
        ({}, {"a": 1, "b": 9}, [1], False, {"a": 1}, {"b": 9}),
        ({"a": 1}, {"a": 1, "b": 9, "c": 1}, [1], False, {"a": 1, "c": 1}, {"b": 9}),
        # but nothing that is in use moves, or goes, before all can
        ({"a": 1, "b": 2}, {"a": 2, "c": 9}, [1, 2], False, {"a": 1, "b": 2}, {"c": 9}),
        ({"a": 1, "b": 2}, {"a": 2, "c": 9}, [1, 2, 9], False, {"a": 2, "c": 9}, {}),
        ({"a": 1, "b": 2}, {"a": 2, "c": 9}, [1, 2], True, {"a": 2, "c": 9}, {}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 9}, [1, 2], True, {"a": 1, "b": 2}, {"b": 9}),
    ],
)
def test_a_label_names_what_is_available(
    current: dict[str, int],
    wanted: dict[str, int],
    available: list[int],
    allowed: bool,
    now: dict[str, int],
    refused: dict[str, int],
) -> None:
    assert labels.settle(current, wanted, available, allowed) == (now, refused)


def test_settling_labels_again_changes_nothing() -> None:
    maps: list[dict[str, int]] = [{}, {"a": 1}, {"a": 2}, {"a": 1, "b": 2}]
    for current, wanted, allowed in itertools.product(maps, maps, (False, True)):
        once = labels.settle(current, wanted, [1], allowed)
        assert labels.settle(once.now, wanted, [1], allowed) == once
