"""Inputs that are several tensors: asked for by their parts, as over gRPC."""

import json

import pytest

from eas_processor.codec import rest_request, serving, signatures, tensors
from eas_processor.errors import ServingError

SPARSE = {"sp/indices": [[0, 0], [1, 2]], "sp/values": [1.5, 2.5], "sp/dense_shape": [2, 3]}
RAGGED = {"r/0": [1.0, 2.0, 3.0], "r/1": [0, 1, 3]}


def _known():
    message = serving.message("SignatureDefMap")()
    inputs = message.signature_def["serving_default"].inputs
    sparse = inputs["sp"]
    sparse.dtype = 1
    sparse.tensor_shape.dim.add(size=-1)
    sparse.tensor_shape.dim.add(size=-1)
    sparse.coo_sparse.values_tensor_name = "v:0"
    sparse.coo_sparse.indices_tensor_name = "i:0"
    sparse.coo_sparse.dense_shape_tensor_name = "s:0"
    for number, dtype in enumerate((1, 9)):
        part = inputs["r"].composite_tensor.components.add(name=f"r_{number}:0", dtype=dtype)
        part.tensor_shape.dim.add(size=-1)
    return signatures.read(message.SerializeToString())


def test_the_parts_have_names_dtypes_and_shapes():
    specs = _known()["serving_default"].inputs
    assert {name: (spec.dtype, spec.shape, spec.tensor) for name, spec in specs.items()} == {
        "r/0": (1, (-1,), "r_0:0"),
        "r/1": (9, (-1,), "r_1:0"),
        "sp/indices": (9, (-1, 2), "i:0"),
        "sp/values": (1, (-1,), "v:0"),
        "sp/dense_shape": (9, (2,), "s:0"),
    }


def test_the_parts_are_sent_in_columns():
    for blanks in (0, 300):  # the general way, and the fast one
        body = json.dumps({"inputs": {**SPARSE, **RAGGED}}).encode() + b" " * blanks
        found = tensors.inputs(rest_request.predict_request(body, _known()).request)
        values = {name: tensor.values.tolist() for name, tensor in found.items()}
        assert values == {**SPARSE, **RAGGED}


def test_a_part_that_is_missing_is_named():
    body = json.dumps({"inputs": {**RAGGED, "sp": [[1.0]]}}).encode()
    with pytest.raises(ServingError, match="Missing named input: sp/indices in 'inputs' object"):
        rest_request.predict_request(body, _known())
