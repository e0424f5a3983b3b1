"""Finds the model in a folder: a SavedModel, version folders around one, a frozen graph, TFLite.

Knows the file system only. Every refusal says what was looked for and what is there.
"""

import collections
import os

from eas_processor.errors import Code, ConfigError, StartError

SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
GRAPH_SUFFIXES = (".pb", ".pbtxt")
DEPTH_MAX = 4  # archive's own folder, model, version, and one to spare
LISTED_MAX = 12
IGNORED = ("__MACOSX",)

Found = collections.namedtuple("Found", "kind path")  # SAVED_MODEL has a folder, the others a file
SAVED_MODEL = "SavedModel"
GRAPH = "frozen graph"
TFLITE = "TFLite model"
TFLITE_FILE = "model.tflite"


def find(model_dir, model_entry, prefer_tflite=False):
    """What to load. Raises ConfigError for a wrong path or entry, StartError for no model.

    prefer_tflite: take a model.tflite that lies where the SavedModel is looked for.
    """
    if not model_dir:
        raise ConfigError("model_path is missing: a TensorFlow processor needs a model")
    if not os.path.exists(model_dir):
        raise ConfigError("there is nothing at the model's path '%s'" % model_dir)
    return _look(_enter(model_dir, model_entry.strip()), 0, prefer_tflite)


def _enter(root, entry):
    if os.path.normpath(entry or ".") == ".":
        return root
    inside = os.path.normpath(entry)
    outside = os.path.isabs(inside) or inside.split(os.sep)[0] == os.pardir
    wrapped = _wrapped(root) if os.path.isdir(root) else None
    for base in [root] + ([wrapped] if wrapped else []):
        path = os.path.join(base, inside)
        if outside or not _is_within(path, root):
            raise ConfigError("model_entry '%s' leaves the model's folder" % entry)
        if os.path.exists(path):
            return path
    if os.path.isfile(root) and os.path.basename(root) == inside:
        return root
    raise ConfigError(
        "model_entry '%s' is not in the model's folder %s" % (entry, _what_is_in(root))
    )


def _is_within(path, root):
    root = os.path.realpath(root)
    return (os.path.realpath(path) + os.sep).startswith(root.rstrip(os.sep) + os.sep)


def _look(path, depth, prefer_tflite):
    if os.path.isfile(path):
        return _file(path)
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    if prefer_tflite and TFLITE_FILE in names:
        return Found(TFLITE, os.path.join(path, TFLITE_FILE))
    if any(name in names for name in SAVED_MODEL_FILES):
        return Found(SAVED_MODEL, path)
    folders = [
        name for name in names if name not in IGNORED and os.path.isdir(os.path.join(path, name))
    ]
    versions = [name for name in folders if name.isdigit()]
    if versions and depth < DEPTH_MAX:
        return _look(os.path.join(path, max(versions, key=int)), depth + 1, prefer_tflite)
    graphs = [name for name in names if name.endswith(".pb") and name not in folders]
    if len(graphs) == 1:
        return Found(GRAPH, os.path.join(path, graphs[0]))
    if len(graphs) > 1:
        raise ConfigError(
            "'%s' holds several frozen graphs (%s): choose one with model_entry"
            % (path, ", ".join(graphs[:LISTED_MAX]))
        )
    if len(folders) == 1 and depth < DEPTH_MAX:
        return _look(os.path.join(path, folders[0]), depth + 1, prefer_tflite)
    raise StartError(
        "Could not find SavedModel .pb or .pbtxt at supplied export directory path: %s. Looked for"
        " saved_model.pb, saved_model.pbtxt, one frozen .pb graph, or folders named by a version"
        " number, in %s" % (path, _what_is_in(path)),
        Code.NOT_FOUND,
    )


def _file(path):
    if os.path.basename(path) in SAVED_MODEL_FILES:
        return Found(SAVED_MODEL, os.path.dirname(path))
    if path.endswith(GRAPH_SUFFIXES):
        return Found(GRAPH, path)
    raise StartError(
        "'%s' is no TensorFlow model: looked for a SavedModel's folder or a frozen graph's .pb file"
        % path
    )


def _wrapped(path):
    """The only folder in it, as archives have, or None."""
    names = [n for n in os.listdir(path) if not n.startswith(".") and n not in IGNORED]
    folders = [name for name in names if os.path.isdir(os.path.join(path, name))]
    return os.path.join(path, folders[0]) if len(folders) == 1 else None


def _what_is_in(path):
    if os.path.isfile(path):
        return "'%s' (a file)" % path
    names = sorted(os.listdir(path))
    shown = ", ".join(names[:LISTED_MAX])
    if len(names) > LISTED_MAX:
        shown += " and %d more" % (len(names) - LISTED_MAX)
    return "'%s', which holds: %s" % (path, shown or "nothing")
