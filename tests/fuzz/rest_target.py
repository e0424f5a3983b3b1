"""A REST body in any of its forms: a request that the codec itself reads back, or refused in words.

The first byte chooses the form, the second the model. JSON is read twice: what is long enough for
the fast way must become the same as what is not. Raw bytes have a line before them that says of
which dtype and shape they are.
"""

import base64
import io
import json
import zipfile

import numpy as np

from eas_processor.codec import binary, rest, rest_fast, serving, signatures, tensors
from eas_processor.codec.binary import NPY, NPZ, RAW, Ask
from eas_processor.errors import Code, ServingError
from tests.fuzz.target import Target

MODELS = ({"x": 1}, {"x": 7}, {"inputs": 7}, {"a": 1, "b": 9}, {"x": 10}, {"a": 7, "b": 2})
LONG = b" " * rest_fast.BODY_BYTES_MIN


def _signatures(inputs):
    message = serving.message("SignatureDefMap")()
    definition = message.signature_def[serving.DEFAULT_SIGNATURE]
    for name, dtype in inputs.items():
        definition.inputs[name].dtype = dtype
    for name in ("scores", "classes", "outputs"):
        definition.outputs[name].dtype = 7 if name == "classes" else 1
    return signatures.read(message.SerializeToString())


KNOWN = [_signatures(inputs) for inputs in MODELS]


def _raw(body, known):
    text, _, data = body.partition(b"\n")
    dtype, _, shape = text.decode("latin-1").partition(" ")
    return binary.predict_request(data, Ask(RAW, dtype=dtype, shape=shape), known)


FORMS = (
    rest.predict_request,
    rest.classify_request,
    lambda body, known: binary.predict_request(body, Ask(NPY, input="x"), known),
    lambda body, known: binary.predict_request(body, Ask(NPZ), known),
    _raw,
)


def read(form, body, known):
    """The tensors that a body asks a run on, as bytes; None where it is refused."""
    try:
        asked = form(body, known)
    except ServingError as error:
        assert error.message.strip() and error.code != Code.INTERNAL
        return None
    found = tensors.inputs(asked.request)
    return asked.signature, asked.rows, {name: _plain(found[name]) for name in sorted(found)}


def _plain(tensor):
    values = tensor.values
    return values.shape, values.tolist() if values.dtype == object else values.tobytes()


def check(data: bytes) -> None:
    """One body."""
    if len(data) < 2:
        return
    form, known, body = FORMS[data[0] % len(FORMS)], KNOWN[data[1] % len(KNOWN)], data[2:]
    found = read(form, body, known)
    if form is rest.predict_request and body:
        assert read(form, body + LONG, known) == found


def _npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _npz(how, **arrays) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as file:
        for name, array in arrays.items():
            file.writestr(name + ".npy", _npy(array))
    return stream.getvalue()


def _seed(form: int, model: int, body) -> bytes:
    return bytes([form, model]) + (body if isinstance(body, bytes) else json.dumps(body).encode())


FLOATS, WORDS_IN = np.ones((2, 3), np.float32), np.array(["x", "yé"])
B64 = {"b64": base64.b64encode(b"\xff\0bytes").decode()}
TARGET = Target(
    "rest",
    check,
    (
        _seed(0, 0, {"instances": [[1.5, -2e-3], [3, 4]]}),
        _seed(0, 0, {"inputs": 2.0, "signature_name": "serving_default", "output_filter": ["y"]}),
        _seed(0, 0, {"inputs": {"b64": "AACAPwAAAEA=", "shape": [2], "dtype": "float32"}}),
        _seed(0, 1, {"instances": ["a", '\u00fc"\\', B64]}),
        _seed(0, 3, {"instances": [{"a": 1.0, "b": [1, 2]}, {"a": 2, "b": [3, 4]}]}),
        _seed(0, 3, {"inputs": {"a": [[1.0]], "b": [[[9007199254740993]]]}}),
        _seed(0, 4, {"instances": [True, False]}),
        _seed(0, 5, b'{"instances": [{"a": "x", "b": NaN}, {"a": "y", "b": -Infinity}]}'),
        _seed(1, 2, {"context": {"c": 1}, "examples": [{"f": [1.5], "i": 3, "s": ["a", B64]}, {}]}),
        _seed(2, 0, _npy(FLOATS)),
        _seed(2, 1, _npy(WORDS_IN)),
        *(
            _seed(3, 3, _npz(how, a=FLOATS, b=np.arange(4)))
            for how in (
                zipfile.ZIP_STORED,
                zipfile.ZIP_DEFLATED,
                zipfile.ZIP_BZIP2,
                zipfile.ZIP_LZMA,
            )
        ),
        _seed(4, 0, b"float 2,3\n" + FLOATS.tobytes()),
        _seed(4, 1, b"\n"),
    ),
    (
        *(b'"', b"\\", b"\\ud800", b"\xff", b"[", b"]", b"{", b"}", b",", b":", b"e999", b"1" * 20),
        *(b"NaN", b"Infinity", b"true", b"null", b'"b64"', b'"shape"', b"0,", b"1," * 65, b"(2,"),
    ),
)
