"""A response that begins like an earlier one is read as any other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_processor.codec import dtypes, responses, tensors
from eas_processor.codec.tensors import Tensor
from eas_processor.errors import Code, ServingError
from tests.codec.test_tensors import some_tensor


def _told(outputs: dict[str, Tensor]) -> dict[str, tuple[int, tuple[int, ...], bytes]]:
    return {
        name: (tensor.dtype, tensor.values.shape, tensor.values.tobytes())
        for name, tensor in outputs.items()
    }


@given(st.lists(st.tuples(some_tensor(), st.sampled_from(["y", "z"]), st.booleans()), max_size=9))
def test_what_came_before_makes_no_difference(answers: list[tuple[Tensor, str, bool]]) -> None:
    for tensor, name, typed in answers * 2:
        response = tensors.response({name: tensor}, typed)
        assert _told(responses.outputs(response)) == _told(tensors.outputs(response))


def test_only_the_numbers_of_a_like_response_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (
        tensors.response({"y": np.full((2, 3), fill, np.float32)}, typed=False) for fill in (1, 2)
    )
    responses.outputs(first)
    monkeypatch.setattr(tensors, "outputs", None)
    assert responses.outputs(second)["y"].values.tolist() == [[2.0] * 3] * 2


def test_of_responses_as_long_as_each_other_each_is_its_own() -> None:
    float32 = tensors.response({"y": np.zeros((2, 6), np.float32)}, typed=False)
    reshaped = tensors.response({"y": np.zeros((6, 2), np.float32)}, typed=False)
    int32 = tensors.response({"y": np.zeros((2, 6), np.int32)}, typed=False)
    assert len(float32) == len(reshaped) == len(int32)
    for _ in range(2):
        assert responses.outputs(float32)["y"].values.shape == (2, 6)
        assert responses.outputs(reshaped)["y"].values.shape == (6, 2)
        assert responses.outputs(int32)["y"].dtype == dtypes.DT_INT32


def test_responses_that_keep_differing_are_just_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    alike = [
        tensors.response({"y": np.zeros(shape, np.float64)}, typed=False)
        for shape in ((5, 3), (3, 5))
    ]
    for response in alike * responses.TRIES_MAX:
        responses.outputs(response)
    monkeypatch.setattr(tensors, "response", None)  # what one is compared with
    for response in alike:
        assert _told(responses.outputs(response)) == _told(tensors.outputs(response))


def test_what_is_no_response_is_told_so_as_before() -> None:
    with pytest.raises(ServingError) as caught:
        responses.outputs(b"\xff\xff\xff")
    assert caught.value.code is Code.INTERNAL
