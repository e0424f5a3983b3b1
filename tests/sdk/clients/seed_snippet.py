#!/usr/bin/env python
"""The snippet of EAS's TensorFlow page, unchanged but for address, token and an end to its loop.

seed_snippet.py ENDPOINT TOKEN [COUNT]          prints what the snippet prints
"""
# ruff: noqa
# fmt: off

import sys

from eas_prediction import PredictClient
from eas_prediction import TFRequest

if __name__ == '__main__':
    client = PredictClient(sys.argv[1], 'mnist_saved_model_example')
    client.set_token(sys.argv[2])
    client.init()

    req = TFRequest('predict_images')
    req.add_feed('images', [1, 784], TFRequest.DT_FLOAT, [1] * 784)
    for x in range(0, int(sys.argv[3]) if len(sys.argv) > 3 else 3):
        resp = client.predict(req)
        print(resp)
