"""What one kind of request takes: which arrays to decode, what to run, how to write the answer."""

from eas_processor.errors import Code, ServingError

from . import messages, shapes
from .signatures import dtype_name, short

EACH_BYTES_MAX = 1 << 20


class Plan(object):
    """How requests with these input names and this output_filter are answered."""

    __slots__ = ("_is_even", "_outputs", "_ranked", "absent", "inputs", "run")

    def __init__(self, inputs, run, outputs, absent=(), is_even=False, ranked=()):
        """Arrays stand in the order of the tensors' names, whatever a request calls them.

        inputs: [(name, codec)]; run: arrays → arrays; outputs: [(writer, payload, place)];
        absent: [(place, ndarray)] for the inputs that a request leaves to their defaults; is_even:
        whether in all outputs each value takes equally many bytes; ranked: [(place, name, dims)] of
        the inputs that must have as many dimensions.
        """
        self.inputs = inputs
        self.run = run
        self._outputs = outputs
        self._is_even = is_even
        self.absent = absent
        self._ranked = ranked

    def decode(self, message):
        """The arrays that came. Raises ServingError, tensors.NeedsCanonical."""
        arrays = message.inputs
        return self._checked([codec.read(arrays[name], name) for name, codec in self.inputs])

    def decode_canonical(self, message):
        """The same from a canonical message."""
        given = message.inputs
        arrays = [codec.read_canonical(given[name], name) for name, codec in self.inputs]
        return self._checked(arrays)

    def _checked(self, arrays):
        for place, name, dims in self._ranked:
            shape = arrays[place].shape
            if len(shape) != len(dims):
                words = "came with shape %s, the model wants %s" % (list(shape), list(dims))
                raise shapes.invalid(name, words)
        return arrays

    def completed(self, arrays):
        """The arrays to run on: those that came and the defaults."""
        for place, value in self.absent:
            arrays.insert(place, value)
        return arrays

    def encode(self, results):
        """The answer's bytes."""
        entries = []
        for writer, payload, place in self._outputs:
            array = results[place]
            entries.append(writer.write(array.shape, payload(array)))
        return messages.join(entries)

    def encode_each(self, results, count):
        """The answers of that many requests with equally many rows, from the results of their
        joined run; None where they must be written one by one."""
        if not self._is_even:
            return None
        entries = []
        for writer, payload, place in self._outputs:
            array = results[place]
            values = payload(array)
            size = len(values) // count
            if not 0 < size <= EACH_BYTES_MAX:
                return None
            header = writer.header((len(array) // count,) + array.shape[1:], size)
            starts = range(0, size * count, size)
            entries.append([header + values[start : start + size] for start in starts])
        return entries[0] if len(entries) == 1 else [b"".join(parts) for parts in zip(*entries)]


def make(signature, runner, codec_of, input_names, output_names):
    """The Plan of a signature for requests with those names. Raises ServingError.

    codec_of: function from a dtype's number to its codec, None if an array cannot carry it.
    Equal sets of tensors get the identical `run`, so that their calls can be joined.
    """
    inputs = _inputs(signature, codec_of, input_names)
    outputs = _outputs(signature, codec_of, output_names)
    if not outputs:
        raise _invalid("Must specify at least one target to fetch or execute.")
    absent = {
        signature.inputs[alias].name: value
        for alias, value in signature.defaults.items()
        if signature.inputs[alias].name not in inputs
    }
    feeds = sorted(set(inputs) | set(absent))
    given = [tensor for tensor in feeds if tensor in inputs]
    fetches = sorted({tensor for tensor, _, _ in outputs})
    return Plan(
        [inputs[tensor][:2] for tensor in given],
        runner.prepare(feeds, fetches),
        [(codec.writer(name), codec.payload, fetches.index(t)) for t, name, codec in outputs],
        [(place, absent[tensor]) for place, tensor in enumerate(feeds) if tensor in absent],
        all(codec.is_even for _, _, codec in outputs),
        [
            (place, name, dims)
            for place, (name, _, dims) in enumerate(inputs[tensor] for tensor in given)
            if dims is not None and given[place] in runner.rank_bound
        ],
    )


def _inputs(signature, codec_of, names):
    """tensor's name → (input's name, codec, dims)."""
    inputs = {}
    for name, tensor in signature.inputs_of(names):
        if tensor.name in inputs:
            raise _invalid(
                "input '%s' came twice: another name in the request stands for the same tensor %s"
                % (short(name), tensor.name)
            )
        codec = codec_of(tensor.dtype)
        if codec is None:
            raise _invalid(
                "input '%s' is of %s, which a request cannot carry"
                % (short(name), dtype_name(tensor.dtype))
            )
        inputs[tensor.name] = (name, codec, tensor.dims)
    return inputs


def _outputs(signature, codec_of, names):
    """[(tensor's name, output's name, codec)]."""
    outputs = []
    for name, tensor in signature.outputs_of(names):
        codec = codec_of(tensor.dtype)
        if codec is None:
            raise _invalid(
                "output '%s' is of %s, which an answer cannot carry: name the other outputs in"
                " output_filter" % (short(name), dtype_name(tensor.dtype))
            )
        outputs.append((tensor.name, name, codec))
    return outputs


def _invalid(message):
    return ServingError(Code.INVALID_ARGUMENT, message)
