"""TensorFlow Serving's messages, made from `proto/serving.desc` when one is first asked for.

    message("PredictRequest")                  the class; packages tensorflow.serving, tensorflow
    from …codec.serving import PredictRequest  the same
    parse("PredictRequest", data)              a message, or ServingError INVALID_ARGUMENT
    text("ModelServerConfig", "config {…}")    from the text format, likewise
    model_spec_field(name, version, signature) field 2 of a response, to be appended to it

A pool of their own keeps these messages apart from those of an installed TensorFlow.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError

from eas_processor.errors import Code, ServingError

METHOD_PREDICT = "tensorflow/serving/predict"
METHOD_CLASSIFY = "tensorflow/serving/classify"
METHOD_REGRESS = "tensorflow/serving/regress"
DEFAULT_SIGNATURE = "serving_default"

PACKAGES = ("tensorflow.serving", "tensorflow", "tensorflow.error", "google.protobuf")


@functools.cache
def files(name: str = "serving") -> Any:
    """The FileDescriptorSet of serving.proto and all that it imports, or of another one."""
    package = Path(__file__).resolve().parents[1]
    folder = package / "proto" if (package / "proto").is_dir() else package.parent / "proto"
    return descriptor_pb2.FileDescriptorSet.FromString((folder / f"{name}.desc").read_bytes())


def pool_of(descriptors: Any) -> Any:
    """A pool of these messages alone."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    return pool


@functools.cache
def message_of(file: str, name: str) -> Any:
    """The class of a message of another file than serving.proto. name: with its package."""
    return message_factory.GetMessageClass(pool_of(files(file)).FindMessageTypeByName(name))


@functools.cache
def _pool() -> Any:
    return pool_of(files())


@functools.cache
def view(name: str, parent: str, fields: tuple[str, ...]) -> Any:
    """The class of a message for which these fields are the bytes that they are.

    A message, and a packed repeated number, is a length-delimited blob on the wire; declared as
    bytes it is handed out whole, unread. name: with its package. parent: the messages that have
    the fields are those whose name starts so.
    """
    return message_factory.GetMessageClass(_view_pool(parent, fields).FindMessageTypeByName(name))


@functools.cache
def _view_pool(parent: str, fields: tuple[str, ...]) -> Any:
    descriptors = descriptor_pb2.FileDescriptorSet()
    descriptors.CopyFrom(files())
    changed = [
        field
        for file in descriptors.file
        for declared in file.message_type
        if declared.name.startswith(parent)
        for field in declared.field
        if field.name in fields
    ]
    for field in changed:
        field.type = field.TYPE_BYTES
        field.ClearField("type_name")
        field.ClearField("options")
    return pool_of(descriptors)


@functools.cache
def message(name: str) -> Any:
    """The class of a message by its name within its package. Raises KeyError if there is none."""
    for package in PACKAGES:
        try:
            found = _pool().FindMessageTypeByName(f"{package}.{name}")
        except KeyError:
            continue
        return message_factory.GetMessageClass(found)
    raise KeyError(name)


def __getattr__(name: str) -> Any:
    """Lets the messages be imported by name."""
    try:
        return message(name)
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def _class_of(kind: Any) -> Any:
    return message(kind) if isinstance(kind, str) else kind


def parse(kind: Any, data: bytes) -> Any:
    """The message that the bytes hold; kind: its class or its name.

    Raises ServingError INVALID_ARGUMENT if they hold none.
    """
    cls = _class_of(kind)
    try:
        return cls.FromString(data)
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"{len(data)} bytes that are not a {cls.DESCRIPTOR.full_name} message: "
            f"{str(error).splitlines()[0] if str(error) else 'cannot be parsed'}",
        ) from None


def text(kind: Any, source: str) -> Any:
    """The message that a text in protobuf's text format holds.

    Raises ServingError INVALID_ARGUMENT with the line and column of the first mistake.
    """
    cls = _class_of(kind)
    try:
        return text_format.Parse(source, cls(), descriptor_pool=_pool())
    except (text_format.ParseError, UnicodeError, ValueError) as error:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"Error parsing text-format {cls.DESCRIPTOR.full_name}: {error}",
        ) from None


def model_spec_field(name: str, version: int, signature_name: str) -> bytes:
    """The model_spec (field 2) of a Predict, Classify or Regress response, serialised.

    Protobuf merges by concatenation: appended to a response without one it completes it.
    """
    spec = message("ModelSpec")(name=name, signature_name=signature_name)
    spec.version.value = version
    field: bytes = message("PredictResponse")(model_spec=spec).SerializeToString()
    return field
