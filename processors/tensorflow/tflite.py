"""A TFLite model behind the same rooms: a pool of interpreters that run by tensor names.

Signatures come from the SignatureDefs among the file's metadata; a file without them gets one,
`serving_default`, whose aliases are the names of its tensors.
"""

import queue
import threading
import warnings

import numpy as np

from eas_processor.errors import Code, ServingError, StartError
from tensorflow.core.protobuf import meta_graph_pb2

from . import load, signatures, tflite_file
from .api import VERSION, tf
from .runner import CALLABLES_MAX, first_line


class Pool(object):
    """As many interpreters as there may be calls at once; a call waits for one that is free."""

    rank_bound = frozenset()  # it looks at all shapes itself

    def __init__(self, path, count):
        """Raises StartError if this TensorFlow cannot run the file."""
        self._path = path
        self._lock = threading.Lock()
        self._prepared = {}
        self._free = queue.Queue()
        for _ in range(count):
            self._free.put(_Interpreter(path))
        first = self._free.queue[0]
        self._indices = first.indices()
        definitions = self._stored() or {signatures.DEFAULT: first.definition()}
        self.signatures = signatures.read(definitions, lambda definition: {}, lambda name: None)
        self.default = self.signatures[signatures.default_name(self.signatures)]
        self.signature_map = load.signature_map(definitions)
        self._check()

    def prepare(self, feeds, fetches):
        """A function from a list of ndarrays (one for each of `feeds`) to a list of ndarrays."""
        key = (tuple(feeds), tuple(fetches))
        with self._lock:
            if key not in self._prepared:
                if len(self._prepared) >= CALLABLES_MAX:
                    del self._prepared[next(iter(self._prepared))]
                self._prepared[key] = self._make(feeds, fetches)
            return self._prepared[key]

    def _make(self, feeds, fetches):
        fed = [self._index(name) for name in feeds]
        fetched = [self._index(name) for name in fetches]

        def run(arrays):
            interpreter = self._free.get()
            try:
                return interpreter.run(dict(zip(fed, arrays)), fetched)
            finally:
                self._free.put(interpreter)

        return run

    def _index(self, name):
        """A tensor's number; signatures may call `x:0` what the file calls `x`."""
        if name not in self._indices and name.endswith(":0"):
            name = name[:-2]
        return self._indices.get(name)

    def _stored(self):
        with open(self._path, "rb") as file:
            content = file.read()
        try:
            stored = tflite_file.signature_defs(content)
            return {n: meta_graph_pb2.SignatureDef.FromString(d) for n, d in stored.items()}
        except Exception as error:  # each protobuf has its own
            raise _not_loadable(self._path, str(error) or "broken SignatureDefs") from error

    def _check(self):
        for signature in self.signatures.values():
            for tensors in (signature.inputs, signature.outputs):
                absent = [t.name for t in tensors.values() if self._index(t.name) is None]
                if absent:
                    raise _not_loadable(
                        self._path,
                        "signature '%s' means %s, which no input or output is called"
                        % (signature.name, signatures.listed(absent)),
                    )


class _Interpreter(object):
    """One interpreter, and for which shapes its tensors are allocated."""

    def __init__(self, path):
        if not hasattr(getattr(tf, "lite", None), "Interpreter"):
            raise StartError("TensorFlow %s has no TFLite interpreter" % VERSION)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # newer ones tell of their successor
                self._interpreter = tf.lite.Interpreter(model_path=path)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise _not_loadable(path, first_line(str(error))) from error
        self._shapes = {}
        inputs = self._interpreter.get_input_details()
        self._declared = {detail["index"]: _dims(detail) for detail in inputs}
        self._names = {detail["index"]: detail["name"] for detail in inputs}

    def run(self, arrays, fetched):
        """arrays: index → ndarray; fetched: indices. Raises ServingError."""
        try:
            self._allocate({index: array.shape for index, array in arrays.items()})
            for index, array in arrays.items():
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
            return [np.asarray(self._interpreter.get_tensor(index)) for index in fetched]
        except (ValueError, RuntimeError) as error:
            self._shapes = {}  # who knows what it has allocated
            raise ServingError(
                Code.INVALID_ARGUMENT, "TFLite: " + first_line(str(error))
            ) from error

    def _allocate(self, shapes):
        if shapes == self._shapes:
            return
        for index, shape in shapes.items():
            self._check(index, shape)
            self._interpreter.resize_tensor_input(index, list(shape))
        self._interpreter.allocate_tensors()
        self._shapes = shapes

    def _check(self, index, shape):
        """Any number of rows is taken, and any shape where the model's rows are single numbers.

        TensorFlow Serving takes whatever comes; but TFLite's kernels compute it all the same, with
        wrong numbers or by reading beyond the memory's end.
        """
        declared = self._declared.get(index, ())
        fits = len(shape) == len(declared) and all(
            wanted in (-1, came) for came, wanted in zip(shape[1:], declared[1:])
        )
        fits = fits or (shape and all(size in (-1, 1) for size in declared))
        if declared and not fits:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                "TFLite: tensor '%s' came with the shape %s, the model wants %s"
                % (self._names[index], list(shape), declared),
            )

    def indices(self):
        """tensor's name → its number."""
        return {detail["name"]: detail["index"] for detail in self._details()}

    def definition(self):
        """A SignatureDef of all inputs and outputs under their own names."""
        made = meta_graph_pb2.SignatureDef(method_name=signatures.PREDICT_METHOD)
        for detail in self._interpreter.get_input_details():
            made.inputs[detail["name"]].CopyFrom(_tensor_info(detail))
        for detail in self._interpreter.get_output_details():
            made.outputs[detail["name"]].CopyFrom(_tensor_info(detail))
        return made

    def _details(self):
        return self._interpreter.get_input_details() + self._interpreter.get_output_details()


def _tensor_info(detail):
    info = meta_graph_pb2.TensorInfo(name=detail["name"])
    info.dtype = tf.as_dtype(detail["dtype"]).as_datatype_enum
    for size in _dims(detail):
        info.tensor_shape.dim.add(size=size)
    return info


def _dims(detail):
    """A tensor's shape as the file declares it; -1: free."""
    return [int(size) for size in detail.get("shape_signature", detail["shape"])]


def _not_loadable(path, text):
    return StartError("TensorFlow %s cannot load the TFLite model '%s': %s" % (VERSION, path, text))
