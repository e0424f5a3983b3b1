"""What a Classify or Regress run gave, checked and taken apart.

classified(response, rows)  (labels, scores) for `classes` and `scores`
regressed(response, rows)   values for `outputs`
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eas_processor.codec import dtypes, responses
from eas_processor.codec.dtypes import DT_FLOAT, DT_STRING
from eas_processor.codec.json_text import refused, shape_text
from eas_processor.codec.tensors import Tensor

SCORES = "scores"
CLASSES = "classes"
REGRESSIONS = "outputs"
NO_OUTPUTS = (
    'Expected classification signature outputs to contain at least one of "classes" or "scores".'
)


def classified(response: bytes, rows: int) -> tuple[list[list[bytes]], np.ndarray[Any, Any]]:
    """The labels and the scores [rows, classes] of a PredictResponse.

    Labels are empty where the model has none, scores zero. Raises ServingError INVALID_ARGUMENT.
    """
    outputs = responses.outputs(response)
    found = {name: outputs[name] for name in (CLASSES, SCORES) if name in outputs}
    if not found:
        raise refused(NO_OUTPUTS)
    for name, dtype in ((CLASSES, DT_STRING), (SCORES, DT_FLOAT)):
        if name in found:
            _check_table(name, found[name], dtype, rows)
    shapes = {tensor.values.shape for tensor in found.values()}
    if len(shapes) > 1:
        counts = {name: tensor.values.shape[1] for name, tensor in found.items()}
        raise refused(
            "Tensors class and score should match in dim_size(1). "
            f"Got {counts[CLASSES]} vs. {counts[SCORES]}"
        )
    (shape,) = shapes
    labels = found[CLASSES].values.tolist() if CLASSES in found else [[b""] * shape[1]] * rows
    scores = found[SCORES].values if SCORES in found else np.zeros(shape, np.float32)
    return labels, scores


def _check_table(name: str, tensor: Tensor, dtype: int, rows: int) -> None:
    shape = tensor.values.shape
    if len(shape) != 2:
        raise refused(
            f"Expected Tensor shape: [batch_size num_classes] but got {shape_text(shape)}"
        )
    if tensor.dtype != dtype:
        raise refused(
            f"Expected {name} Tensor of {dtypes.enum_name(dtype)}. "
            f"Got: {dtypes.enum_name(tensor.dtype)}"
        )
    if shape[0] != rows:
        raise refused(f"Expected {name} output batch size of {rows}. Got: {shape[0]}")


def regressed(response: bytes, rows: int) -> np.ndarray[Any, Any]:
    """One number for each example. Raises ServingError INVALID_ARGUMENT."""
    outputs = responses.outputs(response)
    tensor = outputs.get(REGRESSIONS)
    if tensor is None:
        raise refused(f"Regression signature outputs expected to contain {REGRESSIONS!r}.")
    shape = tensor.values.shape
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise refused(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{shape_text(shape)}"
        )
    if shape[0] != rows:
        raise refused(f"Input batch size did not match output batch size: {rows} vs. {shape[0]}")
    if tensor.dtype != DT_FLOAT:
        raise refused(f"Expected output Tensor of DT_FLOAT.  Got: {dtypes.enum_name(tensor.dtype)}")
    return tensor.values.reshape(-1)
