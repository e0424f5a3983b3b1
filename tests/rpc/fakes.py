"""A gRPC server over services whose versions are played by the test, and a client of it.

Server and client share one uvloop, as the host's listeners do.
"""

import asyncio
import functools
import gc

import grpc.aio
import numpy as np
import uvloop

from eas_processor.codec import serving, tensors
from eas_processor.codec.tensors import Tensor
from eas_processor.errors import Code
from eas_processor.observe.metrics import Metrics
from eas_processor.pool.awake import Awake
from eas_processor.pool.call import Answer
from eas_processor.rpc import tfserving
from eas_processor.rpc.server import Endpoint
from eas_processor.serving.admission import Queue
from eas_processor.serving.lifecycle import Lifecycle, State
from eas_processor.serving.service import Service, Services
from eas_processor.serving.states import ServiceStates
from tests.codec.models import signature_map

PREDICTION = "tensorflow.serving.PredictionService"
MODELS = "tensorflow.serving.ModelService"
WAIT_S = 20.0
SIGNATURES = signature_map({"x": 1}, {"y": 1})


def run(scene):
    """Run a coroutine on uvloop, for a bounded time."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(scene, WAIT_S))


def forget_clients():
    """To be called before anything is forked.

    The last object of grpcio's client waits for a thread. In a forked process, which has no such
    thread, to collect it would take for ever.
    """
    gc.collect()


class Version:
    """Answers calls as it is told to, or keeps them. calls: all that came."""

    def __init__(self, number=1, answer=b"", signatures=SIGNATURES):
        self.number = number
        self.signatures = signatures
        self.lifecycle = Lifecycle()
        for state in (State.FETCHING, State.STARTING, State.READY):
            self.lifecycle.move(state)
        self.queue = Queue(8)
        self.answer = answer  # bytes, (code, text), or None: the call waits in the queue
        self.calls = []
        self.came = asyncio.Event()

    @property
    def ready(self):
        return self.lifecycle.state is State.READY

    def submit(self, call):
        self.calls.append(call)
        self.came.set()
        if self.answer is None:
            self.queue.offer(call)
        elif isinstance(self.answer, bytes):
            call.finish(Answer(Code.OK, 0, self.answer, 70, 2))
        else:
            code, text = self.answer
            call.finish(Answer(code, 2, text.encode()))

    def tick(self, now_s):
        self.queue.expire(now_s)

    def why(self):
        return str(self.lifecycle)


def service(name="m", *versions, token=None):
    made = Service(name, Awake(), lambda: None)
    made.token = token
    for version in versions:
        made.versions[version.number] = version
    made._choose()
    return made


class Scene:
    """A listening server and, once somebody asks for it, a channel to it. options: of tfserving."""

    def __init__(self, *services, endpoint=None, **options):
        self.services = Services((one.name, one) for one in services)
        self.metrics = Metrics(lambda: [], lambda: {})
        self.server = tfserving.listener(
            endpoint or Endpoint(port=0),
            self.services,
            ServiceStates(self.services),
            self.metrics,
            tfserving.Options(**options),
        )

    @functools.cached_property
    def channel(self):
        return grpc.aio.insecure_channel(
            f"127.0.0.1:{self.server.port}",
            options=(
                ("grpc.max_receive_message_length", -1),
                ("grpc.use_local_subchannel_pool", 1),
            ),
        )

    async def __aenter__(self):
        await self.server.start()
        return self

    async def __aexit__(self, *_):
        if "channel" in vars(self):
            await self.channel.close()
        await self.server.drain(0)

    def call(self, method, request, service=PREDICTION, timeout=WAIT_S, metadata=None):
        body = request if isinstance(request, bytes) else request.SerializeToString()
        asked = self.channel.unary_unary(f"/{service}/{method}")
        return asked(body, timeout=timeout, metadata=metadata)

    async def refused(self, *args, **more):
        """(code's name, text) of a call that is to fail."""
        try:
            await self.call(*args, **more)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details()
        raise AssertionError("it was answered")

    def counted(self):
        """{(service, version, method, signature, code): how many}."""
        return {
            (*(getattr(series.key, part) for part in ("service", "version", "method", "signature")),
             Code(code).name): sum(times.counts)
            for series in self.metrics.all_series()
            for code, times in series.whole.items()
        }  # fmt: skip


def spec(name="m", version=None, label=None, signature=""):
    made = serving.message("ModelSpec")(name=name, signature_name=signature)
    if version is not None:
        made.version.value = version
    if label is not None:
        made.version_label = label
    return made


def predict(*args, **more):
    request = serving.message("PredictRequest")(model_spec=spec(*args, **more))
    request.inputs["x"].dtype = 1
    request.inputs["x"].float_val.append(2.0)
    return request


def parsed(name, body):
    return serving.message(name).FromString(body)


def metadata_request(*fields, **asked):
    request = serving.message("GetModelMetadataRequest")(metadata_field=fields)
    request.model_spec.CopyFrom(spec(**asked))
    return request


def multi_request(*tasks):
    request = serving.message("MultiInferenceRequest")()
    for name, signature, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.CopyFrom(spec(name, signature=signature))
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(1)
    return request


def answered(body):
    return Answer(Code.OK, 0, body)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def outputs(**floats):
    """A PredictResponse's outputs, as a worker writes them."""
    return tensors.response({n: Tensor(1, np.float32(values)) for n, values in floats.items()})
