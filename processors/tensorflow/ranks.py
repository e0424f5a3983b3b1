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
    """The names of the tensors whose rank reaches a convolution unchanged.

    Of inputs that are broadcast into each other, those of the highest rank decide.
    """
    if tuple(map(int, VERSION.split(".")[:2])) < (2, 9):
        return frozenset()
    functions = {function.signature.name: function for function in graph_def.library.function}
    ranks = {node.name: _rank(node) for node in graph_def.node if node.op == "Placeholder"}
    found = set()
    for group in _convolved(graph_def.node, functions, {}):
        highest = max([ranks.get(name, 0) for name in group])
        found.update(name + ":0" for name in group if ranks.get(name, highest) == highest)
    return frozenset(found)


def _rank(placeholder):
    """As high as can be if it is not known."""
    shape = placeholder.attr["shape"].shape
    return float("inf") if shape.unknown_rank else len(shape.dim)


def _convolved(nodes, functions, known):
    """For each convolution, the nodes and arguments that it takes its images from.

    known: the same of the functions that were looked at before, by name.
    """
    by_name = {node.name: node for node in nodes}
    groups = set()
    for node in nodes:
        starts = [[node.input[0]]] if node.op in CONVOLUTIONS else []
        called = node.attr["f"].func.name if node.op in CALLS else node.op
        if called in functions:
            function = functions[called]
            if called not in known:
                known[called] = ()  # while it is looked at: it may call itself
                known[called] = _convolved(function.node_def, functions, known)
            given = {arg.name: name for arg, name in zip(function.signature.input_arg, node.input)}
            starts += [[given[name] for name in group if name in given] for group in known[called]]
        groups.update(_reaching(start, by_name) for start in starts if start)
    return groups


def _reaching(names, by_name):
    """All that the rank of these tensors comes from, and they themselves."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop().split(":")[0]
        if name not in found:
            found.add(name)
            node = by_name.get(name)
            if node is not None and node.op in KEEPING:
                waiting.extend(given for given in node.input if not given.startswith("^"))
    return frozenset(found)
