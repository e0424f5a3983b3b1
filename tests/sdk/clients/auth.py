"""Call the example with a token, in the ways the SDK can send one.

    auth.py ENDPOINT TOKEN [SERVICE] [--content-type TYPE] [--header 'Name: value']… [--raw]

Without --raw the SDK signs (`Authorization: EAS …`); with it the SDK is given the whole URL and
sends the token as it is. Prints {"code", "outputs" or "body", "authorization"}.
"""

import argparse

from eas_prediction import PredictClient, TFRequest
from outcome import call, show


def main():
    options = argparse.ArgumentParser()
    options.add_argument("endpoint")
    options.add_argument("token")
    options.add_argument("service", nargs="?", default="mnist_saved_model_example")
    options.add_argument("--content-type")
    options.add_argument("--header", action="append", default=[])
    options.add_argument("--raw", action="store_true")
    args = options.parse_args()

    if args.raw:
        client = PredictClient(custom_url=f"{args.endpoint}/api/predict/{args.service}")
    else:
        client = PredictClient(args.endpoint, args.service)
    client.set_token(args.token)
    if args.content_type:
        client.set_content_type(args.content_type)
    client.add_extra_headers(dict(header.split(": ", 1) for header in args.header))
    client.init()
    request = TFRequest("predict_images")
    request.add_feed("images", [1, 784], TFRequest.DT_FLOAT, [1] * 784)
    outcome = call(client, request)
    outcome["authorization"] = client.headers.get("Authorization")
    show(outcome)


if __name__ == "__main__":
    main()
