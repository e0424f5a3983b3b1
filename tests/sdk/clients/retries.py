"""Count how often the SDK tries one call.

    retries.py ENDPOINT TOKEN [SERVICE] [--retry-count N] [--timeout-ms N]

Prints {"code", "body" or "outputs", "attempts", "statuses", "seconds"}; a status is None where the
attempt got no answer.
"""

import argparse
import time

from eas_prediction import TFRequest
from outcome import call, connect, show


def main():
    options = argparse.ArgumentParser()
    options.add_argument("endpoint")
    options.add_argument("token")
    options.add_argument("service", nargs="?", default="mnist_saved_model_example")
    options.add_argument("--retry-count", type=int)
    options.add_argument("--timeout-ms", type=int)
    args = options.parse_args()

    client = connect(args.endpoint, args.token, args.service)
    if args.retry_count:
        client.set_retry_count(args.retry_count)
    if args.timeout_ms:
        client.set_timeout(args.timeout_ms)
    statuses = watch(client)
    request = TFRequest("predict_images")
    request.add_feed("images", [1, 784], TFRequest.DT_FLOAT, [1] * 784)
    started = time.monotonic()
    outcome = call(client, request)
    outcome["seconds"] = round(time.monotonic() - started, 3)
    show(dict(outcome, attempts=len(statuses), statuses=statuses))


def watch(client):
    """A list that grows by one status with each attempt."""
    statuses = []
    send = client.connection_pool.request

    def counted(*args, **kwargs):
        statuses.append(None)
        response = send(*args, **kwargs)
        statuses[-1] = response.status
        return response

    client.connection_pool.request = counted
    return statuses


if __name__ == "__main__":
    main()
