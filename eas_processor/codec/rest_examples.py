"""REST classify and regress bodies to a PredictRequest on serialised Examples.

    classify_request(body, signatures, check_method), regress_request(…)   Asked

A body has `examples`, a list of objects, and perhaps `context`, an object of features that all of
them share. A feature is a value or a flat list: strings and base64 make a bytes_list, numbers with
a fraction a float_list, integers and booleans an int64_list.
"""

from __future__ import annotations

from typing import Any

from eas_processor.codec import examples, json_text, serving
from eas_processor.codec.float_text import nearest_float32
from eas_processor.codec.json_text import display, refused, type_name
from eas_processor.codec.rest_request import signature_name
from eas_processor.codec.rest_values import from_base64, is_base64
from eas_processor.codec.serving import METHOD_CLASSIFY, METHOD_REGRESS
from eas_processor.codec.signatures import Asked, Signatures

BYTES, FLOAT, INT64 = "bytes_list", "float_list", "int64_list"


def classify_request(body: bytes, known: Signatures, check_method: bool = False) -> Asked:
    """The run that a classify body asks for. Raises ServingError with the peer's words."""
    return _request(body, known, METHOD_CLASSIFY, check_method)


def regress_request(body: bytes, known: Signatures, check_method: bool = False) -> Asked:
    """The run that a regress body asks for. Raises ServingError with the peer's words."""
    return _request(body, known, METHOD_REGRESS, check_method)


def _request(body: bytes, known: Signatures, method: str, check_method: bool) -> Asked:
    document = json_text.parse(body)
    name = signature_name(document)
    context = _example(document["context"]) if "context" in document else b""
    given = _list_of_examples(document)
    made = examples.with_context(context, [_example(example) for example in given])
    return examples.ask(made, known, name, method, check_method)


def _list_of_examples(document: dict[str, Any]) -> list[Any]:
    if "examples" not in document:
        raise refused(
            f"JSON Value: {display(document)} When method is classify, key 'examples' is expected "
            "and was not found"
        )
    given = document["examples"]
    if not isinstance(given, list):
        raise refused(
            f"JSON Value: {display(document)} Expecting 'examples' value to be an list/array"
        )
    if not given:
        raise refused(f"JSON Value: {display(document)} 'examples' value is an empty array")
    return given


def _example(value: Any) -> bytes:
    """A serialised Example of a JSON object."""
    if not isinstance(value, dict):
        raise refused(f"Example must be JSON object but got JSON {type_name(value)}")
    example = serving.message("Example")()
    for name, content in value.items():
        items = content if isinstance(content, list) else [content]
        try:
            feature = example.features.feature[name]  # an empty list still names its feature
        except UnicodeEncodeError:
            raise refused(f"The name of a feature is not UTF-8: {display(name)}") from None
        kinds = [_kind(item, name) for item in items]
        for kind, item in zip(kinds, items, strict=True):
            if kind != kinds[0]:
                raise refused(
                    f"Unexpected element type in feature: {name} expecting type: "
                    f"{kinds[0].removesuffix('_list')}"
                )
            getattr(feature, kind).value.append(_converted(item, kind, name))
    body: bytes = example.SerializeToString(deterministic=True)
    return body


def _kind(item: Any, name: str) -> str:
    if isinstance(item, str) or is_base64(item):
        return BYTES
    if isinstance(item, float) or _is_beyond_64_bits(item):
        return FLOAT
    if isinstance(item, int):
        return INT64
    raise refused(f"Feature: {name} has element with unexpected JSON type: {type_name(item)}")


def _is_beyond_64_bits(item: Any) -> bool:
    return type(item) is int and not -(1 << 63) <= item < 1 << 64


def _converted(item: Any, kind: str, name: str) -> Any:
    if kind == BYTES:
        if isinstance(item, str):
            return item.encode("utf-8", "surrogateescape")
        return from_base64(item["b64"])
    if kind == FLOAT:
        return nearest_float32(item)
    if item >= 1 << 63:
        raise refused(f"Feature: {name} has uint64 element. Only int64 is supported.")
    return int(item)
