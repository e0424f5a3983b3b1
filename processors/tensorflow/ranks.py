"""Inputs that must have the rank of their signature, since another one would end the process.

TensorFlow runs what it is fed, whatever the signature says of shapes; ops refuse what they can not
do. But convolutions go by oneDNN since 2.9, and that aborts where dimensions are missing. Who sends
an image without the dimension of the batch would end the worker, with the calls of all others.
"""

from .api import VERSION

CONVOLUTIONS = frozenset(["Conv2D", "DepthwiseConv2dNative"])
CALLS = frozenset(["PartitionedCall", "StatefulPartitionedCall"])
# The rank of what goes into these decides that of what comes out.
KEEPING = frozenset([
    "Identity", "StopGradient", "Cast", "Mul", "Sub", "Add", "AddV2", "RealDiv", "Div", "Maximum",
    "Minimum", "Relu", "Relu6", "Pad", "PadV2", "MirrorPad", "ExpandDims", "FusedBatchNorm",
    "FusedBatchNormV2", "FusedBatchNormV3", "ReverseV2", "GatherV2",
])  # fmt: skip


def bound(graph_def):
    """The names of the tensors whose rank reaches a convolution unchanged."""
    if tuple(map(int, VERSION.split(".")[:2])) < (2, 9):
        return frozenset()
    functions = {function.signature.name: function for function in graph_def.library.function}
    return frozenset(name + ":0" for name in _convolved(graph_def.node, functions, {}))


def _convolved(nodes, functions, known):
    """The nodes and arguments from which a convolution takes its images.

    known: the same of the functions that were looked at before, by name.
    """
    waiting = []
    for node in nodes:
        if node.op in CONVOLUTIONS:
            waiting.append(node.input[0])
        called = node.attr["f"].func.name if node.op in CALLS else node.op
        if called in functions:
            function = functions[called]
            if called not in known:
                known[called] = ()  # while it is looked at: it may call itself
                known[called] = _convolved(function.node_def, functions, known)
            arguments = zip(function.signature.input_arg, node.input)
            waiting.extend(given for arg, given in arguments if arg.name in known[called])
    by_name = {node.name: node for node in nodes}
    found = set()
    while waiting:
        name = waiting.pop().split(":")[0]
        if name not in found:
            found.add(name)
            node = by_name.get(name)
            if node is not None and node.op in KEEPING:
                waiting.extend(given for given in node.input if not given.startswith("^"))
    return found
