"""The benchmark: our host beside the peers, interleaved in one run (`python -m benchmarks`).

Stands outside the product: nothing imports this package. It needs a checkout, `wrk`, and TensorFlow
environments that it makes itself in the cache folder.
"""
