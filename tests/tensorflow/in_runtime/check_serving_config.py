"""What TensorFlow Serving's flags ask for: session config, op libraries, tags, XLA, bfloat16."""

import os
import subprocess

import numpy as np
from in_runtime import models
from in_runtime.requests import refused
from in_runtime.serving_requests import TYPED, answer, request
from in_runtime.skipping import Skip

from eas_processor.errors import Code, ConfigError, StartError
from processors.tensorflow import options, session
from processors.tensorflow.api import VERSION, tf, tf1

RELEASE = tuple(map(int, VERSION.split(".")[:2]))


def proto_of(text="", with_gpus=False, cores=2, **given):
    proto = session.config_proto(tf1, text)
    return session.complete(proto, {"cores": cores}, options.read(given), with_gpus)


def scores(processor):
    return answer(processor.predict(request({"images": models.IMAGES}), TYPED))["scores"]


def check_a_session_config_counts_where_it_says_something(_):
    proto = proto_of("intra_op_parallelism_threads: 3 log_device_placement: true", cores=8)
    assert (proto.intra_op_parallelism_threads, proto.inter_op_parallelism_threads) == (3, 8)
    assert proto.log_device_placement and proto.allow_soft_placement
    assert proto.device_count["GPU"] == 0
    proto = proto_of("intra_op_parallelism_threads: 3", intra_op_threads=5)
    assert proto.intra_op_parallelism_threads == 5
    proto = proto_of("gpu_options { per_process_gpu_memory_fraction: 0.25 }", True)
    assert proto.gpu_options.per_process_gpu_memory_fraction == 0.25
    assert not proto.gpu_options.allow_growth
    assert proto_of("", True).gpu_options.allow_growth


def check_a_session_config_that_is_none_is_refused(_):
    folder = models.new_folder() + "/1"
    models.softmax(folder, ["serving_default"])
    error = refused(lambda: models.serve(folder, serving={"session_config": "threads: many"}))
    assert isinstance(error, ConfigError) and "threads" in error.message, error.message


def check_a_pool_between_ops_gives_the_same_answers(_):
    folder = models.new_folder() + "/1"
    wanted = models.softmax(folder, ["serving_default"])
    text = "inter_op_parallelism_threads: 2\nintra_op_parallelism_threads: 2"
    processor = models.serve(folder, serving={"session_config": text})
    assert processor._runner._pool == 0
    assert scores(processor).tobytes() == wanted.tobytes()


def check_tags_choose_the_graph(_):
    folder = models.new_folder() + "/1"
    wanted = models.softmax(folder, ["serving_default"], tags=["serve", "gpu"])
    processor = models.serve(folder, serving={"saved_model_tags": ["serve", "gpu"]})
    assert scores(processor).tobytes() == wanted.tobytes()
    error = refused(lambda: models.serve(folder, serving={"saved_model_tags": ["serve"]}))
    assert isinstance(error, StartError) and error.code == Code.NOT_FOUND
    text = "Could not find meta graph def matching supplied tags: { serve }"
    assert text in error.message and "{gpu, serve}" in error.message, error.message
    assert error.message.endswith("--saved_model_tags"), error.message


def check_xla_gives_the_same_answers_or_says_that_it_is_not_there(_):
    folder = models.new_folder() + "/1"
    wanted = models.softmax(folder, ["serving_default"])
    processor = models.serve(folder, serving={"xla_cpu": True})
    np.testing.assert_allclose(scores(processor), wanted, rtol=1e-5)
    proto, notes = tf1.ConfigProto(), []
    session.optimise(proto, options.serving({"xla_cpu": True}), notes.append)
    optimizer = proto.graph_options.optimizer_options
    assert optimizer.global_jit_level == optimizer.ON_1
    assert bool(getattr(optimizer, "cpu_global_jit", False)) != bool(notes)


def check_mixed_precision_is_rewritten_or_noted(_):
    folder = models.new_folder() + "/1"
    wanted = models.softmax(folder, ["serving_default"])
    processor = models.serve(folder, serving={"mixed_precision": "bfloat16"})
    np.testing.assert_allclose(scores(processor), wanted, rtol=0.1, atol=0.01)
    assert ("bfloat16" in " ".join(processor.notes)) == (RELEASE < (2, 3)), processor.notes
    error = refused(lambda: models.serve(folder, serving={"mixed_precision": "float16"}))
    assert isinstance(error, ConfigError) and "float16" in error.message


OP = """
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

REGISTER_OP("PlusFortyTwo").Input("x: float").Output("y: float")
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* context) {
      context->set_output(0, context->input(0));
      return tensorflow::Status();
    });

class PlusFortyTwo : public tensorflow::OpKernel {
 public:
  using tensorflow::OpKernel::OpKernel;
  void Compute(tensorflow::OpKernelContext* context) override {
    const tensorflow::Tensor& x = context->input(0);
    tensorflow::Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    auto from = x.flat<float>();
    auto to = y->flat<float>();
    for (int place = 0; place < from.size(); ++place) to(place) = from(place) + 42;
  }
};
REGISTER_KERNEL_BUILDER(Name("PlusFortyTwo").Device(tensorflow::DEVICE_CPU), PlusFortyTwo);
"""


def compiled_op():
    """The path of a library with that op."""
    if RELEASE < (2, 21):
        raise Skip("the headers of TensorFlow %s want a compiler of its time" % VERSION)
    folder = models.new_folder()
    source, library = os.path.join(folder, "op.cc"), os.path.join(folder, "op.so")
    with open(source, "w") as file:
        file.write(OP)
    command = ["g++", "-shared", "-fPIC", "-O0", "-o", library, source]
    command += tf.sysconfig.get_compile_flags() + tf.sysconfig.get_link_flags()
    try:
        subprocess.check_output(command, stderr=subprocess.STDOUT)
    except OSError as error:
        raise Skip("g++ is not installed") from error
    return library


def model_of_the_op():
    """x → PlusFortyTwo(x), written without knowing the op."""
    definition = tf1.GraphDef()
    node = definition.node.add(name="x", op="Placeholder")
    node.attr["dtype"].type = 1
    definition.node.add(name="y", op="PlusFortyTwo", input=["x"])
    path = os.path.join(models.new_folder(), "model.pb")
    with open(path, "wb") as file:
        file.write(definition.SerializeToString())
    return path


def check_an_op_library_brings_the_op_that_the_model_needs(_):
    path = model_of_the_op()
    assert "PlusFortyTwo" in refused(models.serve, path).message
    library = compiled_op()
    processor = models.serve(path, serving={"op_libraries": [library]})
    body = request({"x": np.array([1, -42], np.float32)}, "", ["y"])
    assert answer(processor.predict(body, TYPED))["y"].tolist() == [43, 0]


def check_an_op_library_that_cannot_be_loaded_is_named(_):
    folder = models.new_folder() + "/1"
    models.softmax(folder)
    broken = os.path.join(folder, "broken.so")
    with open(broken, "w") as file:
        file.write("no library")
    for path in (broken, "/nothing/here.so"):
        error = refused(lambda p=path: models.serve(folder, serving={"op_libraries": [p]}))
        assert isinstance(error, StartError) and path in error.message, error.message
