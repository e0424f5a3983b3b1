"""TensorFlow Serving's REST bodies, all of them in one place.

predict_request(body, signatures) → Asked            predict_answer(response, row) → JSON
classify_request(body, signatures, check_method)     classify_answer(response, rows)
regress_request(body, signatures, check_method)      regress_answer(response, rows)
status_answer(versions), metadata_answer(name, version, signatures), error_answer(text)
"""

from eas_processor.codec.rest_answer import classify_answer, predict_answer, regress_answer
from eas_processor.codec.rest_examples import classify_request, regress_request
from eas_processor.codec.rest_request import predict_request
from eas_processor.codec.rest_states import error_answer, metadata_answer, status_answer
from eas_processor.codec.signatures import Asked

__all__ = [
    "Asked",
    "classify_answer",
    "classify_request",
    "error_answer",
    "metadata_answer",
    "predict_answer",
    "predict_request",
    "regress_answer",
    "regress_request",
    "status_answer",
]
