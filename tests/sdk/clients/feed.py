"""Send any tensors: the request is described by a JSON text.

    feed.py ENDPOINT TOKEN SERVICE '{"signature": "serving_default",
        "feeds": {"x": {"dtype": "DT_INT64", "shape": [2], "values": [1, 2]}}, "fetches": ["y"]}'

`feeds` may also be a list of [name, feed], to feed one name twice. A string is sent as UTF-8;
{"b64": "…"} stands for other bytes. Prints {"code", "outputs"} or {"code", "body", "exception"}.
"""

import base64
import json
import sys

from eas_prediction import TFRequest
from eas_prediction.tf_request_pb2 import ArrayDataType
from outcome import call, connect, show


def element(value):
    """One value as the SDK wants it."""
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value.encode("utf-8") if isinstance(value, str) else value


def build(told):
    """The SDK's request for the parsed JSON."""
    request = TFRequest(told.get("signature", ""))
    feeds = told.get("feeds", [])
    for name, feed in feeds.items() if isinstance(feeds, dict) else feeds:
        values = [element(value) for value in feed["values"]]
        request.add_feed(name, feed["shape"], ArrayDataType.Value(feed["dtype"]), values)
    for name in told.get("fetches", []):
        request.add_fetch(name)
    return request


if __name__ == "__main__":
    show(call(connect(*sys.argv[1:4]), build(json.loads(sys.argv[4]))))
