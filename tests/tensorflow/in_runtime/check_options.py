"""processor_options: refused by name when wrong; threads; a GPU processor without a GPU."""

import os

from in_runtime import models
from in_runtime.requests import answer, floats, refused, request

from eas_processor.errors import ConfigError, StartError
from processors.tensorflow import cuda, options, session
from processors.tensorflow.api import tf1


def check_an_unknown_option_is_refused_with_a_suggestion(_):
    error = refused(options.read, {"gpu_memory_grow": True})
    assert isinstance(error, ConfigError)
    assert "gpu_memory_grow " in error.message and "'gpu_memory_growth'" in error.message


def check_wrong_values_are_refused_by_key(_):
    for key, value in (
        ("allow_cpu", "yes"),
        ("allow_cpu", 1),
        ("gpu_memory_fraction", 0),
        ("gpu_memory_fraction", 1.5),
        ("gpu_memory_fraction", "half"),
        ("gpu_memory_growth", []),
        ("intra_op_threads", 0),
        ("intra_op_threads", 1.5),
        ("intra_op_threads", True),
        ("inter_op_threads", -3),
        ("inter_op_threads", "many"),
        ("inter_op_threads", float("nan")),
        ("saved_model_tags", 5),
        ("saved_model_tags", [5]),
        ("visible_devices", "all"),
        ("visible_devices", -1),
        ("visible_devices", True),
    ):
        error = refused(options.read, {key: value})
        assert isinstance(error, ConfigError) and key in error.message, (key, value)


def check_texts_are_taken_for_numbers_and_switches_as_eas_does(_):
    read = options.read(
        {"allow_cpu": "true", "gpu_memory_fraction": "0.5", "intra_op_threads": "3"}
    )
    assert (read.allow_cpu, read.gpu_memory_fraction, read.intra_op_threads) == (True, 0.5, 3)
    assert options.read({"visible_devices": 1}).visible_devices == "1"
    assert options.read({"visible_devices": "0, 1"}).visible_devices == "0,1"
    assert options.read({"intra_op_threads": ""}).intra_op_threads is None


def check_threads_follow_the_cores_and_the_options(_):
    def threads(cores, **given):
        config = {"cores": cores}
        proto = session.complete(tf1.ConfigProto(), config, options.read(given), False)
        return proto.intra_op_parallelism_threads, proto.inter_op_parallelism_threads

    assert [threads(cores)[0] for cores in (1, 2, 4, 8, 16)] == [1, 1, 1, 2, 4]
    assert threads(8, intra_op_threads=5, inter_op_threads=3) == (5, 3)


def check_a_pool_between_ops_gives_the_same_answers(_):
    folder = models.new_folder() + "/1"
    wanted = models.softmax(folder)
    processor = models.serve(folder, options={"inter_op_threads": 2, "intra_op_threads": 2})
    got = answer(processor.process(request({"images": floats(models.IMAGES)})))["scores"][2]
    assert got == wanted.reshape(-1).tolist()


def gpu(**changes):
    folder = models.new_folder() + "/1"
    models.softmax(folder)
    manifest = {"name": "tensorflow_gpu_2.7", "tensorflow": "2.7.4"}
    return models.serve(folder, device="gpu", manifest=manifest, **changes)


def check_a_gpu_processor_without_a_gpu_refuses_in_one_line(_):
    before = os.environ.pop(cuda.VISIBLE, None)
    try:
        if cuda.missing("2.7.4") is None:
            return  # this machine has all it takes
        error = refused(gpu)
        assert isinstance(error, StartError)
        assert "tensorflow_gpu_2.7" in error.message and "allow_cpu" in error.message
        assert "tensorflow_cpu processor, or, in a service JSON" in error.message  # it has no flag
        os.environ[cuda.VISIBLE] = "-1"
        assert "CUDA_VISIBLE_DEVICES=-1" in refused(gpu).message
        processor = gpu(options={"allow_cpu": True})
        processor.process(request({"images": floats(models.IMAGES)}))
    finally:
        os.environ[cuda.VISIBLE] = before or "-1"


def check_a_library_that_is_not_there_is_named(_):
    assert not cuda._load("libcudnn.so.0.0")
    error = cuda._no_driver()
    assert "libcuda.so.1" in error


def check_a_cpu_processor_hides_the_gpus(_):
    folder = models.new_folder() + "/1"
    models.softmax(folder)
    models.serve(folder)
    assert os.environ[cuda.VISIBLE] == "-1"
