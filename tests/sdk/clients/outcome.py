"""What became of a call, as JSON on stdout: shared by the clients of this folder."""

import base64
import json

from eas_prediction import PredictClient
from eas_prediction.exception import PredictException
from eas_prediction.tf_request_pb2 import ArrayDataType


def connect(endpoint, token, service):
    """A client as the SDK's manual makes one; an empty token is never set."""
    client = PredictClient(endpoint, service)
    if token:
        client.set_token(token)
    client.init()
    return client


def call(client, request):
    """Predict; the outcome as a dict, `code` being 200 or what the SDK raised.

    `code` is None when the SDK failed in a way of its own: `exception` then names the class.
    """
    try:
        response = client.predict(request)
    except PredictException as error:
        body = error.message
        if isinstance(body, bytes):
            body = body.decode("utf-8", "backslashreplace")
        return {"code": error.code, "body": body, "exception": "PredictException"}
    except Exception as error:
        return {"code": None, "body": str(error), "exception": type(error).__name__}
    if not hasattr(response, "response"):  # StringResponse: the body as it came
        return {"code": 200, "body": str(response)}
    names = sorted(response.response.outputs)
    return {"code": 200, "outputs": {name: tensor(response, name) for name in names}}


def tensor(response, name):
    """One output as the SDK shows it; `values` is None for dtypes that it cannot read."""
    values = response.get_values(name)
    if values is not None:
        values = [value if not isinstance(value, bytes) else text(value) for value in values]
    return {
        "dtype": ArrayDataType.Name(response.response.outputs[name].dtype),
        "shape": response.get_tensor_shape(name),
        "values": values,
    }


def text(value):
    """A string tensor's element for JSON: text, or {"b64": …} if it is none."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode("ascii")}


def show(outcome):
    """Print it, one JSON document on one line."""
    print(json.dumps(outcome))
