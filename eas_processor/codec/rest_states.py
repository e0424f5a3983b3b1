"""What TensorFlow Serving's REST API says of a model, and of a mistake.

status_answer(versions), metadata_answer(name, version, signatures), error_answer(message)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format

from eas_processor.codec import serving
from eas_processor.codec.json_text import quoted
from eas_processor.errors import Code


def status_answer(versions: Sequence[tuple[int, str, Code, str]]) -> bytes:
    """The versions of a model, the newest first, as protobuf prints a GetModelStatusResponse.

    versions: each its number, the name of its ModelVersionStatus.State, and what is wrong with it.
    """
    listed = [
        {
            "version": str(number),
            "state": state,
            "status": {"error_code": code.name, "error_message": message},
        }
        for number, state, code, message in sorted(versions, reverse=True)
    ]
    return _protobuf_json({"model_version_status": listed}) + b"\n"


def metadata_answer(name: str, version: int, signature_def_map: bytes) -> bytes:
    """The signatures of one version: a model_spec, and each SignatureDef with every field."""
    spec = {"name": name, "signature_name": "", "version": str(version)}
    printed = json_format.MessageToDict(
        serving.parse("SignatureDefMap", signature_def_map),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    signatures = printed.get("signature_def", {})
    for signature in signatures.values():
        for part in ("inputs", "outputs", "defaults"):
            signature[part] = dict(sorted(signature[part].items()))
    printed["signature_def"] = dict(sorted(signatures.items()))
    return b"".join(
        (
            b'{\n"model_spec":',
            _protobuf_json(spec),
            b"\n,\n",
            b'"metadata": {"signature_def": ',
            _protobuf_json(printed),
            b"\n}\n}\n",
        )
    )


def _protobuf_json(value: Any) -> bytes:
    """Indented by one blank, as the JSON printer of protobuf's C++ does."""
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def error_answer(message: str) -> bytes:
    """The body of every error."""
    return b'{ "error": ' + quoted(message.encode("utf-8", "replace")) + b" }"
