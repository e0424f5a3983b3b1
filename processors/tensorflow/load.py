"""Opens what `find` found in a session: variables restored, tables filled, signatures read."""

import collections

from eas_processor.errors import Code, ConfigError, StartError
from tensorflow.core.framework import tensor_pb2
from tensorflow.python.saved_model import loader_impl

from . import messages, ops, ranks, serving_wire, signatures
from .api import VERSION, OpError, tf, tf1
from .find import GRAPH
from .runner import first_line

SERVE = "serve"
LOADING_ERRORS = (OpError, ValueError, TypeError, KeyError, RuntimeError, IOError)

# signatures: Signature by name, empty for a frozen graph; default: a Signature or signatures.Graph;
# signature_map: a serialised SignatureDefMap, empty for a frozen graph; notes: for the user;
# has_loops, has_waits: of `ops`; rank_bound: of `ranks`
Model = collections.namedtuple(
    "Model", "session signatures default signature_map notes has_loops has_waits rank_bound"
)


def load(found, config_proto, tags=(), flag_tags=()):
    """The Model at `found`. Raises ConfigError for wrong tags, StartError if it cannot be loaded.

    tags: which MetaGraph of a SavedModel to take; empty: the one tagged `serve`. flag_tags: the
    same, of TensorFlow Serving's flag: none that has them is then NOT_FOUND.
    """
    graph = tf.Graph()
    session = tf1.Session(graph=graph, config=config_proto)
    try:
        with graph.as_default():
            if found.kind == GRAPH:
                return _load_graph(found.path, session)
            return _load_saved_model(found.path, session, tags, flag_tags)
    except BaseException:
        session.close()
        raise


def _load_saved_model(folder, session, tags, flag_tags):
    loader = _read_saved_model(folder)
    meta_graph = _choose(loader.saved_model, tags, flag_tags, folder)
    written_by = meta_graph.meta_info_def.tensorflow_version or "an unknown version"
    ops.check(meta_graph.graph_def, written_by)
    try:
        loader.load(session, list(meta_graph.meta_info_def.tags))
    except LOADING_ERRORS as error:
        raise _not_loadable("the SavedModel '%s'" % folder, written_by, error) from error

    def dtype_of(name):
        try:
            return session.graph.get_tensor_by_name(name).dtype.as_datatype_enum
        except (KeyError, ValueError, TypeError):
            return None

    found = signatures.read(meta_graph.signature_def, _defaults, dtype_of)
    name = signatures.default_name(found)
    default = signatures.Graph(session.graph) if name is None else found[name]
    described = signature_map(meta_graph.signature_def)
    return Model(session, found, default, described, *_known(meta_graph.graph_def))


def signature_map(definitions):
    """A serialised SignatureDefMap: name → SignatureDef with all its fields, known here or not."""
    entries = []
    for name in sorted(definitions):
        definition = definitions[name].SerializeToString(deterministic=True)
        entry = messages.length_delimited(1, name.encode("utf-8"))
        entry += messages.length_delimited(2, definition)
        entries.append(messages.length_delimited(1, entry))
    return b"".join(entries)


def _read_saved_model(folder):
    """TensorFlow's loader with the file read: what it then loads is the message that we see."""
    try:
        return loader_impl.SavedModelLoader(folder)
    except LOADING_ERRORS as error:
        raise StartError(
            "the SavedModel in '%s' cannot be read: %s" % (folder, first_line(str(error)))
        ) from error


def _choose(saved_model, tags, flag_tags, folder):
    graphs = list(saved_model.meta_graphs)
    if not graphs:
        raise StartError("the SavedModel in '%s' holds no graph: is its file damaged?" % folder)
    wanted = set(tags or flag_tags or [SERVE])
    for graph in graphs:
        if set(graph.meta_info_def.tags) == wanted:
            return graph
    there = ["{%s}" % ", ".join(sorted(graph.meta_info_def.tags)) for graph in graphs]
    text = (
        "Could not find meta graph def matching supplied tags: { %s }: the SavedModel '%s' has %s;"
        " choose one with " % (" ".join(sorted(wanted)), folder, " and ".join(there))
    )
    if flag_tags and not tags:
        raise StartError(text + "--saved_model_tags", Code.NOT_FOUND)
    raise ConfigError(text + "processor_options.saved_model_tags")


def _defaults(definition):
    """Values that newer models store for inputs which may be absent."""
    stored = serving_wire.SignatureDef.FromString(definition.SerializeToString()).defaults
    return {alias: _array(stored[alias]) for alias in stored}


def _array(tensor):
    return tf.make_ndarray(tensor_pb2.TensorProto.FromString(tensor.SerializeToString()))


def _load_graph(path, session):
    definition = _read_graph(path)
    ops.check(definition, "an unknown version")
    try:
        tf1.import_graph_def(definition, name="")
    except LOADING_ERRORS as error:
        raise _not_loadable("the frozen graph '%s'" % path, "an unknown version", error) from error
    graph = session.graph
    tables = [op for op in graph.get_operations() if op.type.startswith("InitializeTable")]
    try:
        if tables:
            session.run(tables)
    except OpError as error:
        raise StartError(
            "a table of the frozen graph '%s' cannot be filled: %s" % (path, first_line(str(error)))
        ) from error
    return Model(session, {}, signatures.Graph(graph), b"", *_known(definition))


def _known(graph_def):
    return (
        ops.notes(graph_def),
        ops.has_loops(graph_def),
        ops.has_waits(graph_def),
        ranks.bound(graph_def),
    )


def _read_graph(path):
    definition = tf1.GraphDef()
    with open(path, "rb") as file:
        content = file.read()
    try:
        if path.endswith(".pbtxt"):
            from google.protobuf import text_format

            text_format.Merge(content.decode("utf-8"), definition)
        else:
            definition.ParseFromString(content)
    except Exception as error:  # text_format and each protobuf have their own
        raise StartError(
            "'%s' is no frozen graph (a GraphDef): %s" % (path, first_line(str(error)))
        ) from error
    if not definition.node:
        raise StartError("'%s' is no frozen graph: it has no nodes" % path)
    return definition


def _not_loadable(what, written_by, error):
    return StartError(
        "TensorFlow %s cannot load %s, written by TensorFlow %s: %s%s"
        % (VERSION, what, written_by, first_line(str(error)), _newer(written_by))
    )


def _newer(written_by):
    try:
        wrote, here = [tuple(map(int, v.split(".")[:2])) for v in (written_by, VERSION)]
    except ValueError:
        return ""
    if wrote <= here:
        return ""
    return "; use the processor of a later TensorFlow, tensorflow_cpu_%d.%d say" % wrote
