"""The session's ConfigProto: threads, GPU memory, and what TensorFlow Serving's flags ask for.

On threads: two runs side by side with one thread each do more than one run with two threads (an
image model on two cores: 99 images/s against 76). The host sends `concurrency` calls at once, so up
to four cores an op has one thread; beyond that a quarter of the cores shortens large ops, while
four calls still fill the machine.
"""

from eas_processor.errors import ConfigError

SMALL_MACHINE_CORES = 4
BFLOAT16 = "bfloat16"
# The same rewrite, by the names that it had.
BFLOAT16_OPTIONS = ("auto_mixed_precision_onednn_bfloat16", "auto_mixed_precision_mkl")


def config_proto(tf1, text):
    """The user's own ConfigProto, from its text form; empty text: an empty one.

    Raises ConfigError.
    """
    proto = tf1.ConfigProto()
    if text.strip():
        from google.protobuf import text_format

        try:
            text_format.Merge(text, proto)
        except text_format.ParseError as error:
            raise ConfigError("the session config is no ConfigProto: %s" % error) from error
    return proto


def complete(proto, config, chosen, with_gpus):
    """Fill in what the user left open; processor_options go first.

    config: the worker's; chosen: options.Options.
    """
    cores = max(1, int(config.get("cores") or 1))
    proto.intra_op_parallelism_threads = (
        chosen.intra_op_threads or proto.intra_op_parallelism_threads or intra_op_threads(cores)
    )
    proto.inter_op_parallelism_threads = (
        chosen.inter_op_threads or proto.inter_op_parallelism_threads or max(2, cores)
    )
    proto.allow_soft_placement = True
    if not with_gpus:
        proto.device_count["GPU"] = 0
        return proto
    if not proto.HasField("gpu_options"):
        proto.gpu_options.allow_growth = chosen.gpu_memory_growth
    if chosen.gpu_memory_fraction is not None:
        proto.gpu_options.per_process_gpu_memory_fraction = chosen.gpu_memory_fraction
    return proto


def add_pools(proto, count):
    """Beside the usual pool between ops, number 0, as many of one thread: their numbers."""
    pools = proto.session_inter_op_thread_pool
    pools.add(num_threads=proto.inter_op_parallelism_threads)
    for _ in range(count):
        pools.add(num_threads=1)
    return range(1, count + 1)


def optimise(proto, serving, note):
    """Turn on XLA and mixed precision where they are asked for and this TensorFlow has them."""
    if serving.xla_cpu:
        optimizer = proto.graph_options.optimizer_options
        optimizer.global_jit_level = optimizer.ON_1
        if hasattr(optimizer, "cpu_global_jit"):
            optimizer.cpu_global_jit = True
        else:
            note("this TensorFlow compiles for the CPU only what the model itself marks for XLA")
    if not serving.mixed_precision:
        return
    if serving.mixed_precision != BFLOAT16:
        raise ConfigError(
            "mixed_precision is '%s', it can be '%s'" % (serving.mixed_precision, BFLOAT16)
        )
    rewrite = proto.graph_options.rewrite_options
    for name in BFLOAT16_OPTIONS:
        if hasattr(rewrite, name):
            setattr(rewrite, name, rewrite.ON)
            return
    note("mixed_precision is left aside: this TensorFlow cannot rewrite graphs to bfloat16")


def runs_at_once(config, proto):
    """How many runs fill the cores; more of them at once only take each other's caches."""
    cores = max(1, int(config.get("cores") or 1))
    return max(1, -(-cores // proto.intra_op_parallelism_threads))


def intra_op_threads(cores):
    """How many threads one op has by default."""
    return 1 if cores <= SMALL_MACHINE_CORES else cores // 4
