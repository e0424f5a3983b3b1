"""The loaded model with all that answers need of it, from TensorFlow's session or from TFLite.

Importing this module imports TensorFlow: set up the process (`device`) before.
"""

import collections

from . import bounded, device, load, op_text, ops, runner, session, tflite
from .api import tf1
from .find import TFLITE

# runner: has `prepare`; signatures, default, signature_map: as load.Model; threads_max: how many
# calls at once are of use, None where that is not known; may_not_end: as of a Processor
Engine = collections.namedtuple(
    "Engine", "runner signatures default signature_map threads_max may_not_end"
)


def start(found, config, chosen, serving, with_gpus, note):
    """The Engine of what was found. Raises ConfigError, StartError.

    config: the worker's; chosen, serving: of `options`; note(text): tells the user.
    """
    if found.kind == TFLITE:
        threads = serving.tflite_threads or max(1, int(config.get("cores") or 1))
        pool = tflite.Pool(found.path, threads)
        return Engine(pool, pool.signatures, pool.default, pool.signature_map, threads, False)
    op_text.read_any_bytes()
    proto = session.config_proto(tf1, serving.session_config)
    pool, own_pools = runner.SESSIONS_POOL, ()  # the user's
    has_pool = chosen.inter_op_threads or proto.inter_op_parallelism_threads
    session.complete(proto, config, chosen, with_gpus)
    threads_max = None if with_gpus else session.runs_at_once(config, proto)
    if not has_pool and not proto.session_inter_op_thread_pool:
        pool = runner.IN_CALLERS_THREAD
        own_pools = session.add_pools(proto, (threads_max or int(config["concurrency"])) + 1)
    session.optimise(proto, serving, note)
    ops.load_libraries(serving.op_libraries)
    model = load.load(found, proto, chosen.saved_model_tags, serving.saved_model_tags)
    for text in model.notes:
        note(text)
    if with_gpus:
        device.check_gpu(model.session, config)
    pools = None
    if model.has_loops:
        pools = bounded.Pools(runner.SESSIONS_POOL, own_pools)
    elif model.has_waits:
        pools = bounded.Pools(pool)
    return Engine(
        runner.Runner(model.session, pool, pools, model.rank_bound),
        model.signatures,
        model.default,
        model.signature_map,
        threads_max,
        pools is not None,
    )
