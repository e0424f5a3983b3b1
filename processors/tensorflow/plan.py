"""What one kind of request takes: which arrays to decode, what to run, how to write the answer."""

from eas_processor.errors import Code, ServingError

from . import tensors, wire
from .signatures import dtype_name, short


class Plan(object):
    """How requests with these input names and this output_filter are answered."""

    __slots__ = ("inputs", "outputs", "run")

    def __init__(self, inputs, run, outputs):
        """inputs: [(name, Codec)]; run: arrays → arrays; outputs: [(name, writer, Codec, i)]."""
        self.inputs = inputs
        self.run = run
        self.outputs = outputs

    def decode(self, message):
        """The arrays to run on. Raises ServingError, tensors.NeedsCanonical."""
        arrays = message.inputs
        return [codec.read(arrays[name], name) for name, codec in self.inputs]

    def decode_canonical(self, message):
        """The same from a canonical message."""
        arrays = message.inputs
        return [codec.read_canonical(arrays[name], name) for name, codec in self.inputs]

    def encode(self, results):
        """The answer's bytes."""
        entries = []
        for _, writer, codec, place in self.outputs:
            array = results[place]
            entries.append(writer.write(array.shape, codec.payload(array)))
        return wire.join(entries)


def make(signature, runner, codec_of, input_names, output_names):
    """The Plan of a signature for requests with those names. Raises ServingError.

    codec_of: function from a dtype's number to its Codec, None if an array cannot carry it.
    """
    feeds, inputs = _inputs(signature, codec_of, input_names)
    outputs, fetches = _outputs(signature, codec_of, output_names)
    absent = [
        (signature.inputs[alias].name, value)
        for alias, value in signature.defaults.items()
        if signature.inputs[alias].name not in feeds
    ]
    run = runner.prepare(feeds + [name for name, _ in absent], fetches)
    if absent:
        run = _with_defaults(run, [value for _, value in absent])
    return Plan(inputs, run, outputs)


def _with_defaults(run, values):
    return lambda arrays: run(arrays + values)


def _inputs(signature, codec_of, names):
    feeds, inputs = [], []
    for name in names:
        tensor = signature.input(name)
        if tensor.name in feeds:
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
        feeds.append(tensor.name)
        inputs.append((name, codec))
    signature.check_complete(feeds)
    return feeds, inputs


def _outputs(signature, codec_of, names):
    outputs, fetches = [], []
    for name in names or signature.outputs:
        tensor = signature.output(name)
        codec = codec_of(tensor.dtype)
        if codec is None:
            raise _invalid(
                "output '%s' is of %s, which an answer cannot carry: name the other outputs in"
                " output_filter" % (short(name), dtype_name(tensor.dtype))
            )
        if tensor.name not in fetches:
            fetches.append(tensor.name)
        writer = wire.OutputWriter(name, tensor.dtype, codec.field)
        outputs.append((name, writer, codec, fetches.index(tensor.name)))
    return outputs, fetches


def codecs(as_numpy_dtype):
    """The `codec_of` of a TensorFlow: as_numpy_dtype turns a dtype's number into numpy's."""
    made = {
        number: tensors.codec(number, as_numpy_dtype(number))
        for number in wire.DTYPE_NAMES
        if tensors.carried(number)
    }
    return made.get


def _invalid(message):
    return ServingError(Code.INVALID_ARGUMENT, message)
