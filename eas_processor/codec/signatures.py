"""A SignatureDefMap as plain structs, and what a translated request is.

read(data)  {key: Signature}; remembered, so a version's bytes may be passed each time
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from eas_processor.codec import serving
from eas_processor.codec.dtypes import DT_INT64
from eas_processor.errors import Code, ServingError

PREDICT_METHODS = (serving.METHOD_PREDICT, serving.METHOD_CLASSIFY, serving.METHOD_REGRESS)
REMEMBERED_MAX = 64  # models whose signatures are kept parsed


@dataclass(frozen=True)
class Spec:
    """One input or output. shape: -1 for a dimension of any size, None if not even the rank.

    tensor: what the graph calls it.
    """

    name: str
    dtype: int
    shape: tuple[int, ...] | None
    tensor: str = ""


@dataclass(frozen=True)
class Signature:
    """What one signature takes and gives. defaults: the inputs that may be left out."""

    key: str
    method_name: str
    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]
    defaults: frozenset[str]


Signatures = Mapping[str, Signature]


class Asked(NamedTuple):
    """A request of some dialect, translated.

    request: the serialised PredictRequest to run. signature: its key, never empty. row: whether
    the answer is wanted in row form. rows: examples, or the 0th dimension of the inputs; None
    when the first input is a scalar.
    """

    request: bytes
    signature: str
    row: bool = False
    rows: int | None = None


@functools.lru_cache(maxsize=REMEMBERED_MAX)
def read(data: bytes) -> Signatures:
    """The signatures of a serialised SignatureDefMap, by key, with sorted inputs and outputs.

    Raises ServingError INVALID_ARGUMENT if the bytes are none.
    """
    found = serving.parse("SignatureDefMap", data).signature_def
    return {key: _signature(key, found[key]) for key in sorted(found)}


def _signature(key: str, definition: Any) -> Signature:
    return Signature(
        key=key,
        method_name=definition.method_name,
        inputs=_specs(definition.inputs),
        outputs=_specs(definition.outputs),
        defaults=frozenset(definition.defaults),
    )


def _specs(infos: Any) -> dict[str, Spec]:
    return {spec.name: spec for name in sorted(infos) for spec in _parts(name, infos[name])}


def _parts(name: str, info: Any) -> Iterator[Spec]:
    """A dense tensor is one part; a sparse or ragged one is asked for by its components."""
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        sparse, shape = info.coo_sparse, info.tensor_shape
        rank = -1 if shape.unknown_rank else len(shape.dim)
        yield Spec(f"{name}/indices", DT_INT64, (-1, rank), sparse.indices_tensor_name)
        yield Spec(f"{name}/values", info.dtype, (-1,), sparse.values_tensor_name)
        yield Spec(f"{name}/dense_shape", DT_INT64, (rank,), sparse.dense_shape_tensor_name)
    elif encoding == "composite_tensor":
        for place, component in enumerate(info.composite_tensor.components):
            yield from _parts(f"{name}/{place}", component)
    else:
        yield _spec(name, info)


def _spec(name: str, info: Any) -> Spec:
    shape = info.tensor_shape
    dims = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
    return Spec(name, info.dtype, dims, info.name)


def check_predict(signatures: Signatures, name: str) -> None:
    """Refuse a signature that is meant for none of the methods that Predict can stand for.

    Raises ServingError INTERNAL, as the peer does.
    """
    signature = signatures.get(name or serving.DEFAULT_SIGNATURE)
    if signature is not None and signature.method_name not in PREDICT_METHODS:
        raise ServingError(
            Code.INTERNAL,
            "Expected prediction signature method_name to be one of "
            f"{{{', '.join(PREDICT_METHODS)}}}. Was: {signature.method_name}",
        )


def find(signatures: Signatures, name: str, refusal: str) -> Signature:
    """The signature of a name, `serving_default` for an empty one.

    refusal: the message if there is none, with {} for the name. Raises ServingError
    INVALID_ARGUMENT.
    """
    key = name or serving.DEFAULT_SIGNATURE
    if key not in signatures:
        raise ServingError(Code.INVALID_ARGUMENT, refusal.format(key))
    return signatures[key]
