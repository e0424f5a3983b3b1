"""Where models lie, how they were written: folders, tags, tables, frozen graphs, versions."""

import json
import os
import shutil

import numpy as np
from in_runtime import models
from in_runtime.requests import answer, floats, refused, request

from eas_processor.errors import Code, ConfigError, StartError
from processors.tensorflow.api import IS_1, VERSION, tf, tf1

GOOD = {"images": floats(models.IMAGES)}


def scores(processor):
    values = answer(processor.process(request(GOOD)))["scores"][2]
    return np.array(values, np.float32).reshape(2, 10)


def check_a_model_is_found_in_all_the_places_where_users_put_it(_):
    root = models.new_folder()
    wanted = models.softmax(os.path.join(root, "plain"))
    shutil.copytree(os.path.join(root, "plain"), os.path.join(root, "versions", "3"))
    shutil.copytree(os.path.join(root, "plain"), os.path.join(root, "archive", "m", "10"))
    os.makedirs(os.path.join(root, "archive", "__MACOSX"))
    os.makedirs(os.path.join(root, "versions", "2"))  # an older one that is no model
    for folder, entry in (
        ("plain", ""),
        ("plain", "./"),
        ("plain/saved_model.pb", ""),
        ("versions", ""),
        ("versions", "3"),
        ("versions", "./3/"),
        ("archive", ""),
        ("archive", "m/10"),
        ("archive", "10"),
    ):
        processor = models.serve(os.path.join(root, folder), model_entry=entry)
        assert scores(processor).tobytes() == wanted.tobytes(), (folder, entry)


def check_the_highest_version_wins_by_number(_):
    root = models.new_folder()
    models.softmax(os.path.join(root, "9"), ["nine"])
    models.softmax(os.path.join(root, "10"), ["ten"])
    processor = models.serve(root)
    assert json.loads(processor.describe("").body.decode())["signature_name"] == "ten"
    processor = models.serve(root, model_entry="9")
    assert json.loads(processor.describe("").body.decode())["signature_name"] == "nine"


def check_a_saved_model_as_text_is_loaded(_):
    folder = models.new_folder() + "/1"
    wanted = models.softmax(folder)
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2

    binary = os.path.join(folder, "saved_model.pb")
    with open(binary, "rb") as file:
        message = saved_model_pb2.SavedModel.FromString(file.read())
    with open(binary + "txt", "w") as file:
        file.write(text_format.MessageToString(message))
    os.remove(binary)
    assert scores(models.serve(folder)).tobytes() == wanted.tobytes()


def check_what_is_no_model_is_refused_with_what_is_there(_):
    root = models.new_folder()
    with open(os.path.join(root, "notes.txt"), "w") as file:
        file.write("nothing")
    error = refused(models.serve, root)
    assert isinstance(error, StartError) and "notes.txt" in error.message
    assert "saved_model.pb" in error.message and error.code == Code.NOT_FOUND
    text = "Could not find SavedModel .pb or .pbtxt at supplied export directory path: " + root
    assert text in error.message, error.message
    error = refused(models.serve, os.path.join(root, "notes.txt"))
    assert isinstance(error, StartError)
    for path in ("", os.path.join(root, "absent")):
        assert isinstance(refused(models.serve, path), ConfigError)
    for name in ("saved_model.pb", "graph.pb"):
        folder = models.new_folder()
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"this is no protobuf message \xff\xff")
        error = refused(models.serve, folder)
        assert isinstance(error, StartError), error.message


def check_a_model_without_its_variables_is_refused_with_tensorflows_words(_):
    folder = models.new_folder() + "/1"
    models.softmax(folder)
    shutil.rmtree(os.path.join(folder, "variables"))
    error = refused(models.serve, folder)
    assert isinstance(error, StartError)
    assert VERSION in error.message and "variables" in error.message, error.message


def check_a_model_entry_must_exist_and_stay_inside(_):
    root = models.new_folder()
    models.softmax(os.path.join(root, "models", "1"))
    for entry in ("../models", "/", "1/../../x", "2"):
        error = refused(lambda e=entry: models.serve(os.path.join(root, "models"), model_entry=e))
        assert isinstance(error, ConfigError), error
        assert "model_entry" in error.message and entry in error.message
    os.symlink(root, os.path.join(root, "models", "out"))
    error = refused(lambda: models.serve(os.path.join(root, "models"), model_entry="out"))
    assert isinstance(error, ConfigError)


def check_another_tag_must_be_chosen_by_an_option(_):
    folder = models.new_folder() + "/1"
    wanted = models.softmax(folder, tags=["serve", "gpu"])
    error = refused(models.serve, folder)
    assert isinstance(error, ConfigError)
    assert "{gpu, serve}" in error.message and "saved_model_tags" in error.message
    for tags in (["serve", "gpu"], "gpu,serve"):
        processor = models.serve(folder, options={"saved_model_tags": tags})
        assert scores(processor).tobytes() == wanted.tobytes()


def check_a_table_is_filled_from_its_asset(_):
    folder = models.new_folder() + "/1"
    models.table(folder)
    moved = models.new_folder() + "/moved"
    shutil.move(folder, moved)
    ask_the_table(moved)


def ask_the_table(folder):
    processor = models.serve(folder)
    words = ("DT_STRING", [4], [b"drei", b"eins", b"vier", b"eins\0"])
    got = answer(processor.process(request({"words": words})))["ids"]
    assert got == ("DT_INT64", [4], [2, 0, -1, -1]), got


def check_a_frozen_graph_is_asked_by_tensor_names(_):
    folder = models.new_folder()
    path = os.path.join(folder, "model.pb")
    models.frozen(path)
    inputs = {"x": floats([1, 2]), "y:0": floats([10, 20])}
    for place, entry in ((path, ""), (folder, ""), (folder, "model.pb")):
        processor = models.serve(place, model_entry=entry)
        got = answer(processor.process(request(inputs, "any name", ["sum", "difference:0", "x"])))
        assert got == {
            "sum": ("DT_FLOAT", [2], [11.0, 22.0]),
            "difference:0": ("DT_FLOAT", [2], [-9.0, -18.0]),
            "x": ("DT_FLOAT", [2], [1.0, 2.0]),
        }


def check_a_frozen_graph_says_how_it_wants_to_be_asked(_):
    path = os.path.join(models.new_folder(), "model.pb")
    models.frozen(path)
    processor = models.serve(path)
    for call, argument in ((processor.describe, ""), (processor.process, request({}))):
        error = refused(call, argument)
        assert error.code == Code.INVALID_ARGUMENT
        for word in ("output_filter", "'x'", "'y'", "'sum'", "'difference'"):
            assert word in error.message, error.message
    error = refused(processor.process, request({"x": floats([1])}, "", ["sum"]))
    assert error.code == Code.INVALID_ARGUMENT and "'y'" in error.message, error.message
    error = refused(processor.process, request({"z": floats([1])}, "", ["sum"]))
    assert error.code == Code.INVALID_ARGUMENT and "'z'" in error.message
    for name in ("nothing", "sum:1", "^x", "a:b:c", ""):
        error = refused(processor.process, request({}, "", [name]))
        assert error.code == Code.INVALID_ARGUMENT, error.message


def check_several_frozen_graphs_need_a_choice(_):
    folder = models.new_folder()
    for name in ("a.pb", "b.pb"):
        models.frozen(os.path.join(folder, name))
    error = refused(models.serve, folder)
    assert isinstance(error, ConfigError) and "a.pb, b.pb" in error.message
    models.serve(folder, model_entry="b.pb")


def check_models_of_the_oldest_version_load_everywhere(folder):
    path = os.path.join(folder, "1.12.3")
    wanted = np.load(path + ".softmax.npy")
    got = scores(models.serve(path + ".softmax"))
    assert_close(got, wanted)
    here = models.direct(path + ".softmax", "scores:0", {"x:0": models.IMAGES})
    assert got.tobytes() == here.tobytes()
    ask_the_table(path + ".table")


def check_models_of_the_newest_version_load_or_are_refused_by_name(folder):
    path = os.path.join(folder, "2.21.0")
    if tuple(map(int, VERSION.split(".")[:2])) < (2, 7):
        error = refused(models.serve, path + ".module")
        assert isinstance(error, StartError)
        for word in (VERSION, "2.21.0"):
            assert word in error.message, error.message
        return
    assert_close(scores(models.serve(path + ".softmax")), np.load(path + ".softmax.npy"))
    ask_the_table(path + ".table")
    processor = models.serve(path + ".module")
    assert_close(scores(processor), np.load(path + ".module.npy"))
    body = request({"text": ("DT_STRING", [2], [b"a\0b", b""])}, "shout")
    assert answer(processor.process(body))["loud"] == ("DT_STRING", [2], [b"A\0B", b""])


def assert_close(got, wanted):
    """Versions may add up in another order."""
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def check_a_module_and_a_keras_model_of_this_version_answer_as_they_do_themselves(_):
    if IS_1:
        return
    folder = models.new_folder() + "/1"
    wanted = models.module(folder)
    assert_close(scores(models.serve(folder)), wanted)
    model = tf.keras.Sequential([tf.keras.Input((6,)), tf.keras.layers.Dense(3, "relu")])
    folder = models.new_folder() + "/1"
    (model.export if hasattr(model, "export") else model.save)(folder)
    processor = models.serve(folder)
    described = json.loads(processor.describe("").body.decode())
    assert described["signature_name"] == "serving_default"
    alias = described["inputs"][0]["name"]
    got = answer(processor.process(request({alias: floats(models.IMAGES)})))
    got = got[described["outputs"][0]["name"]]
    wanted = model(models.IMAGES).numpy()
    assert_close(np.array(got[2]).reshape(2, 3), wanted)


def graph_with(op, **attributes):
    """A frozen graph with one node of that op, written without knowing it."""
    definition = tf1.GraphDef()
    definition.node.add(name="odd", op=op)
    path = os.path.join(models.new_folder(), "odd.pb")
    with open(path, "wb") as file:
        file.write(definition.SerializeToString())
    return path


def check_an_op_that_nobody_has_is_named(_):
    error = refused(models.serve, graph_with("FindTheGrail"))
    assert isinstance(error, StartError)
    assert "FindTheGrail" in error.message and VERSION in error.message


def check_contrib_works_on_1_and_is_refused_by_name_on_2(_):
    definition = tf1.GraphDef()
    for name in ("data", "warp"):
        node = definition.node.add(name=name, op="Placeholder")
        node.attr["dtype"].type = 1
    node = definition.node.add(name="sampled", op="Resampler", input=["data", "warp"])
    node.attr["T"].type = 1
    path = os.path.join(models.new_folder(), "contrib.pb")
    with open(path, "wb") as file:
        file.write(definition.SerializeToString())
    if not IS_1:
        error = refused(models.serve, path)
        assert isinstance(error, StartError)
        for word in ("Resampler", "tf.contrib", "tensorflow_cpu_1.15"):
            assert word in error.message, error.message
        return
    processor = models.serve(path)
    inputs = {
        "data": ("DT_FLOAT", [1, 2, 2, 1], [1, 2, 3, 4]),
        "warp": ("DT_FLOAT", [1, 2], [0.5, 0.5]),
    }
    got = answer(processor.process(request(inputs, "", ["sampled"])))
    assert got["sampled"] == ("DT_FLOAT", [1, 1], [2.5])
