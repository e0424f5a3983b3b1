"""Which ops a graph needs and this TensorFlow lacks; brings in tf.contrib where that has them.

On 1.x the ops of tf.contrib exist only once it is imported, which takes seconds: so only for models
that need it.
"""

import importlib
import itertools
import warnings

from eas_processor.errors import StartError

from .api import IS_1, VERSION, tf
from .contrib_ops import CONTRIB_OPS, PACKAGES

LISTED_MAX = 10

# Ops of newer versions that only get variables ready for saving and compute nothing: without them a
# model serves the same numbers, and an older TensorFlow can load it.
ONLY_FOR_SAVING = frozenset(["DisableCopyOnRead"])

# What may go on for ever: loops, as graphs and as functions have them, and ops that wait.
LOOPS = frozenset(["Enter", "RefEnter", "While", "StatelessWhile"])
WAITING = (
    "QueueDequeue", "QueueEnqueue", "Barrier", "ReaderRead", "IteratorGetNext",
    "AccumulatorTakeGradient", "ResourceAccumulatorTakeGradient", "SparseAccumulatorTakeGradient",
)  # fmt: skip
# This one wants a second thread of the pool that it runs in.
NEVER_ALONE = "IteratorGetNextSync"

# These call a function of the Python process that wrote the model, which no model file holds.
CALLING_PYTHON = frozenset(["PyFunc", "PyFuncStateless", "EagerPyFunc"])


def load_libraries(paths):
    """Load the user's own ops, before the model that needs them. Raises StartError."""
    for path in paths:
        try:
            tf.load_op_library(path)
        except (tf.errors.OpError, OSError, RuntimeError) as error:
            text = str(getattr(error, "message", None) or error).strip().split("\n")[0]
            raise StartError(
                "TensorFlow %s cannot load the op library '%s': %s" % (VERSION, path, text)
            ) from error


def check(graph_def, written_by):
    """Ready `graph_def` and this process for each other.

    Raises StartError naming the ops that cannot run here.
    """
    unknown = _unknown(graph_def)
    if not ONLY_FOR_SAVING.isdisjoint(unknown):
        _silence(graph_def)
        unknown = _unknown(graph_def)
    if unknown and IS_1:
        _bring_in_contrib(unknown)
        unknown = _unknown(graph_def)
    if not unknown:
        return
    names = ", ".join(unknown[:LISTED_MAX])
    if len(unknown) > LISTED_MAX:
        names += " and %d more" % (len(unknown) - LISTED_MAX)
    text = "the model (written by TensorFlow %s) uses ops that TensorFlow %s does not have: %s" % (
        written_by,
        VERSION,
        names,
    )
    contrib = [name for name in unknown if name in CONTRIB_OPS]
    if contrib and not IS_1:
        text += (
            "; %s come%s from tf.contrib, which only TensorFlow 1 has: use the processor"
            " tensorflow_cpu_1.15, tensorflow_cpu_1.14 or tensorflow_cpu_1.12 (or their gpu ones)"
            % (", ".join(contrib[:LISTED_MAX]), "s" if len(contrib) == 1 else "")
        )
    raise StartError(text)


def notes(graph_def):
    """What the user should know of a graph that can be loaded."""
    names = [node.name for node in _nodes(graph_def) if node.op in CALLING_PYTHON]
    if not names:
        return []
    return [
        "the model calls Python functions (py_func, py_function or numpy_function), which a model"
        " file does not hold: whatever needs %s will fail" % ", ".join(names[:LISTED_MAX])
    ]


def has_loops(graph_def):
    """Whether a run may go round for ever, and this TensorFlow can leave it."""
    if VERSION.startswith("1.12."):
        return False
    used = {node.op for node in _nodes(graph_def)}
    return not LOOPS.isdisjoint(used) and NEVER_ALONE not in used


def has_waits(graph_def):
    """Whether a run may wait for ever."""
    return any(node.op.startswith(WAITING) for node in _nodes(graph_def))


def _nodes(graph_def):
    functions = graph_def.library.function
    return itertools.chain(graph_def.node, *[function.node_def for function in functions])


def _silence(graph_def):
    for node in _nodes(graph_def):
        if node.op in ONLY_FOR_SAVING:
            node.op = "NoOp"
            node.attr.clear()
            kept = [name for name in node.input if name.startswith("^")]
            del node.input[:]
            node.input.extend(kept)


def _bring_in_contrib(unknown):
    packages = {"." + PACKAGES[name] for name in unknown if name in PACKAGES}
    for package in ["", *sorted(packages)]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dir(importlib.import_module("tensorflow.contrib" + package))  # 1.15 is lazy
        except ImportError as error:
            raise StartError(
                "the model needs tensorflow.contrib%s, which cannot be imported here: %s"
                % (package, error)
            ) from error


def _unknown(graph_def):
    functions = {function.signature.name for function in graph_def.library.function}
    used = {node.op for node in _nodes(graph_def)} - functions
    if IS_1:
        return sorted(used - _registered_in_1())
    from tensorflow.python.framework import op_def_registry

    return sorted(name for name in used if op_def_registry.get(name) is None)


def _registered_in_1():
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python import pywrap_tensorflow

    buffer = pywrap_tensorflow.TF_GetAllOpList()
    try:
        ops = op_def_pb2.OpList.FromString(pywrap_tensorflow.TF_GetBuffer(buffer))
    finally:
        pywrap_tensorflow.TF_DeleteBuffer(buffer)
    return {op.name for op in ops.op}
