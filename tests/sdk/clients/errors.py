"""Make the mistakes that users make, against the example, and print what the SDK tells of each.

    errors.py ENDPOINT TOKEN [CASE]…          all cases if none is named

Prints {CASE: {"code", "body", "exception"}, …}.
"""

import sys

from eas_prediction import StringRequest, TFRequest
from outcome import call, connect, show

SERVICE = "mnist_saved_model_example"
IMAGE = ([1, 784], TFRequest.DT_FLOAT, [1] * 784)


def request(signature="predict_images", name="images", feed=IMAGE, fetches=()):
    """A request that is right but for what the caller changes."""
    made = TFRequest(signature)
    made.add_feed(name, *feed)
    for fetch in fetches:
        made.add_fetch(fetch)
    return made


CASES = {
    "none": lambda: (SERVICE, request()),
    "unknown_input": lambda: (SERVICE, request(name="image")),
    "unknown_signature": lambda: (SERVICE, request(signature="predict")),
    "unknown_output": lambda: (SERVICE, request(fetches=["score"])),
    "wrong_dtype": lambda: (
        SERVICE,
        request(feed=([1, 784], TFRequest.DT_DOUBLE, [1] * 784)),
    ),
    "too_few_values": lambda: (SERVICE, request(feed=([1, 784], TFRequest.DT_FLOAT, [1] * 783))),
    "wrong_shape": lambda: (SERVICE, request(feed=([1, 28], TFRequest.DT_FLOAT, [1] * 28))),
    "garbage": lambda: (SERVICE, StringRequest("these words are no message")),
    "no_feed": lambda: (SERVICE, TFRequest("predict_images")),
    "unknown_service": lambda: ("no_such_service", request()),
}


def main(endpoint, token, *cases):
    outcomes = {}
    for case in cases or CASES:
        service, made = CASES[case]()
        outcomes[case] = call(connect(endpoint, token, service), made)
    show(outcomes)


if __name__ == "__main__":
    main(*sys.argv[1:])
