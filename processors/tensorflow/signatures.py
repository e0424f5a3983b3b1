"""What a model can be asked: signatures, or for a frozen graph its tensors by name.

Both kinds answer the same questions: which tensor an input or output name stands for, which inputs
must come, which outputs are meant when none is named.
"""

import collections
import difflib

from eas_processor.errors import Code, ServingError

from . import wire

DEFAULT = "serving_default"
PREDICT_METHOD = "tensorflow/serving/predict"
HIDDEN = ("__saved_model_init_op", "__saved_model_train_op")
REFERENCE = 100  # TensorFlow numbers a reference to a dtype so much higher
LISTED_MAX = 20

Tensor = collections.namedtuple("Tensor", "name dtype dims")  # dims: None for unknown rank, -1 free


class Asked(object):
    """What both kinds share: which tensors the names of a request stand for."""

    def inputs_of(self, names):
        """[(name, Tensor)] of all inputs that came. Raises ServingError."""
        tensors = [(name, self.input(name)) for name in names]
        self.check_complete({tensor.name for _, tensor in tensors})
        return tensors

    def outputs_of(self, names):
        """[(name, Tensor)] of the outputs named, or of all. Raises ServingError."""
        return [(name, self.output(name)) for name in names or self.outputs]

    def wanted(self, names):
        """An output_filter without duplicates."""
        return tuple(dict.fromkeys(names))


class Signature(Asked):
    """One signature of a SavedModel."""

    def __init__(self, name, method, inputs, outputs, defaults):
        """inputs, outputs: dicts alias → Tensor. defaults: alias → ndarray for absent inputs."""
        self.name = name
        self.method = method
        self.inputs = inputs
        self.outputs = outputs
        self.defaults = defaults
        self._input_names = _with_tensor_names(inputs)
        self._output_names = _with_tensor_names(outputs)

    def input(self, name):
        """The Tensor that an input's alias or tensor name stands for. Raises ServingError."""
        return self._find("input", self._input_names, self.inputs, name)

    def output(self, name):
        """The same for an output."""
        return self._find("output", self._output_names, self.outputs, name)

    def _find(self, kind, names, aliases, name):
        tensor = names.get(name)
        if tensor is None:
            raise _invalid(
                "signature '%s' has no %s '%s'%s; its %ss are %s"
                % (self.name, kind, short(name), hint(name, aliases), kind, listed(aliases))
            )
        return tensor

    def check_complete(self, given):
        """Raise ServingError unless the tensors of those names are all that the signature needs."""
        missing = [
            alias
            for alias, tensor in self.inputs.items()
            if tensor.name not in given and alias not in self.defaults
        ]
        if missing:
            raise _invalid(
                "input %s is missing; signature '%s' wants %s"
                % (listed(missing), self.name, listed(self.inputs))
            )


def _with_tensor_names(aliases):
    """alias → Tensor, and `x` and `x:0` → Tensor where no alias is called so."""
    names = dict(aliases)
    for tensor in aliases.values():
        names.setdefault(tensor.name, tensor)
        if tensor.name.endswith(":0"):
            names.setdefault(tensor.name[:-2], tensor)
    return names


def read(signature_defs, defaults_of, dtype_of):
    """Signatures by name from a MetaGraphDef's map, in the order of their names.

    defaults_of: function from a SignatureDef to its default inputs. dtype_of: function from a
    tensor's name to the dtype's number that the graph computes it in, None if it has no such
    tensor; outputs are sent in that one, whatever the signature says.
    """
    signatures = collections.OrderedDict()
    for name in sorted(signature_defs):
        if name in HIDDEN:
            continue
        definition = signature_defs[name]
        signatures[name] = Signature(
            name,
            definition.method_name,
            _tensors(definition.inputs),
            _as_computed(_tensors(definition.outputs), dtype_of),
            defaults_of(definition),
        )
    return signatures


def _tensors(infos):
    tensors = collections.OrderedDict()
    for alias in sorted(infos):
        for name, part in _parts(alias, infos[alias]):
            tensors[name] = part
    return tensors


def _as_computed(outputs, dtype_of):
    for alias, tensor in outputs.items():
        number = dtype_of(tensor.name)
        if number is not None and number % REFERENCE != tensor.dtype:
            outputs[alias] = tensor._replace(dtype=number % REFERENCE)
    return outputs


def _parts(alias, info):
    """A dense tensor is one part; a sparse or ragged one is sent as its components."""
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        sparse = info.coo_sparse
        rank = -1 if info.tensor_shape.unknown_rank else len(info.tensor_shape.dim)
        yield alias + "/indices", Tensor(sparse.indices_tensor_name, 9, [-1, rank])
        yield alias + "/values", Tensor(sparse.values_tensor_name, info.dtype % REFERENCE, [-1])
        yield alias + "/dense_shape", Tensor(sparse.dense_shape_tensor_name, 9, [rank])
    elif encoding == "composite_tensor":
        for index, component in enumerate(info.composite_tensor.components):
            for name, part in _parts("%s/%d" % (alias, index), component):
                yield name, part
    else:
        shape = info.tensor_shape
        dims = None if shape.unknown_rank else [dim.size for dim in shape.dim]
        yield alias, Tensor(info.name, info.dtype % REFERENCE, dims)


def default_name(signatures):
    """Which of the signatures answers a request that names none; None if there are none."""
    if DEFAULT in signatures:
        return DEFAULT
    predict = [name for name in signatures if signatures[name].method == PREDICT_METHOD]
    return next(iter(predict + list(signatures)), None)


class Graph(Asked):
    """A graph without signatures: every tensor is an input and an output by its own name."""

    def __init__(self, graph):
        """graph: a tf.Graph."""
        self.inputs = {}
        self.defaults = {}
        self._graph = graph
        self._how_to_ask = None

    def input(self, name):
        """The Tensor of that name, with or without `:0`. Raises ServingError."""
        return self._tensor("input", name)

    def output(self, name):
        """The same for an output."""
        return self._tensor("output", name)

    def _tensor(self, kind, name):
        try:
            tensor = self._graph.get_tensor_by_name(name if ":" in name else name + ":0")
        except (KeyError, ValueError, TypeError):
            raise _invalid(
                "the graph has no tensor '%s' to use as %s; %s"
                % (short(name), kind, self.how_to_ask())
            ) from None
        shape = tensor.get_shape()
        dims = None if shape.ndims is None else [-1 if d is None else d for d in shape.as_list()]
        return Tensor(tensor.name, tensor.dtype.as_datatype_enum % REFERENCE, dims)

    @property
    def outputs(self):
        """Asked for when a request names no output: a graph cannot tell."""
        raise _invalid(
            "this model has no signatures, so output_filter must name the tensors to return; "
            + self.how_to_ask()
        )

    def check_complete(self, given):
        """TensorFlow itself says which placeholder lacks a value."""

    def how_to_ask(self):
        """A sentence: what is fed and what is fetched, as far as the graph shows."""
        if self._how_to_ask is None:
            self._how_to_ask = self._read_graph()
        return self._how_to_ask

    def _read_graph(self):
        operations = self._graph.get_operations()
        placeholders = [op.name for op in operations if op.type.startswith("Placeholder")]
        consumed = {tensor.op.name for op in operations for tensor in op.inputs}
        ends = [
            op.name
            for op in operations
            if op.outputs and op.name not in consumed and op.type not in ("Const", "Placeholder")
        ]
        return "inputs by tensor name: %s; outputs that nothing else uses: %s" % (
            listed(placeholders),
            listed(ends),
        )


def dtype_name(number):
    """DT_FLOAT for 1; TensorFlow's own name for a dtype that EAS does not have."""
    name = wire.DTYPE_NAMES.get(number)
    if name is not None:
        return name
    from tensorflow.core.framework import types_pb2

    try:
        return types_pb2.DataType.Name(number)
    except ValueError:
        return "dtype number %d" % number


def listed(names):
    """Names for a message: quoted, bounded, in their order."""
    names = list(names)
    text = ", ".join("'%s'" % short(name) for name in names[:LISTED_MAX])
    if len(names) > LISTED_MAX:
        text += " and %d more" % (len(names) - LISTED_MAX)
    return text or "none"


def short(name):
    """A client's name, cut to what fits into a message."""
    return name if len(name) <= 80 else name[:77] + "..."


def hint(name, known):
    """` (did you mean 'x'?)` if something known is near."""
    near = difflib.get_close_matches(name[:200], list(known)[:1000], 1)
    return " (did you mean '%s'?)" % near[0] if near else ""


def _invalid(message):
    return ServingError(Code.INVALID_ARGUMENT, message)
