"""Shapes of requests, read and checked before anything is allocated for them."""

from eas_processor.errors import Code, ServingError

from . import wire

KNOWN_MAX = 1024
KNOWN_BYTES_MAX = 64  # longer ones are not worth remembering
RANK_MAX = 32  # numpy's bound before 2.0
EMPTY_DIMS_PRODUCT_MAX = (1 << 31) - 1  # of an empty array's other dimensions

known = {}  # a serialised ArrayShape → (dims, how many values they make)


def read(serialised, name):
    """dims and count of a serialised ArrayShape, which is then `known`. Raises ServingError."""
    dims = tuple(wire.parse(serialised, wire.ArrayShape).dim)
    checked = check(dims, name)
    if len(serialised) <= KNOWN_BYTES_MAX and len(known) < KNOWN_MAX:
        known[serialised] = checked
    return checked


def check(dims, name):
    """dims and how many values they make, in Python's unbounded integers. Raises ServingError."""
    if len(dims) > RANK_MAX:
        raise invalid(name, "has %d dimensions, at most %d are possible" % (len(dims), RANK_MAX))
    count = product = 1
    for dim in dims:
        if dim < 0:
            raise invalid(name, "has a negative dimension in its shape %s" % list(dims))
        count *= dim
        product *= dim or 1
    if not count and product > EMPTY_DIMS_PRODUCT_MAX:
        raise invalid(name, "is empty but its shape %s is too large" % list(dims))
    return dims, count


def invalid(name, text):
    """The ServingError for an input of that name."""
    return ServingError(Code.INVALID_ARGUMENT, "input '%s' %s" % (name, text))
