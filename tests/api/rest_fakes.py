"""A host of the REST dialect whose models keep their calls until a test answers them."""

import asyncio
import json
import types

import numpy as np

from eas_processor.api.rest import RestApi, RestOptions
from eas_processor.codec import dtypes, serving, tensors
from eas_processor.config import Limits
from eas_processor.errors import Code
from eas_processor.http.connections import Connections
from eas_processor.http.router import Router
from eas_processor.observe.metrics import Metrics
from eas_processor.pool.awake import Awake
from eas_processor.pool.call import Answer
from eas_processor.serving.admission import Queue
from eas_processor.serving.lifecycle import Lifecycle, State
from eas_processor.serving.service import Service, Services
from eas_processor.serving.states import ServiceStates
from eas_processor.worker.frames import Content
from tests.http.fakes import Transport, connect

SIGNATURES = {
    "serving_default": ("predict", {"x": dtypes.DT_FLOAT}, {"y": dtypes.DT_FLOAT}),
    "both": ("predict", {"x": dtypes.DT_FLOAT}, {"y": dtypes.DT_FLOAT, "z": dtypes.DT_INT32}),
    "to_class": ("classify", {"inputs": dtypes.DT_STRING}, {"scores": dtypes.DT_FLOAT}),
    "to_number": ("regress", {"inputs": dtypes.DT_STRING}, {"outputs": dtypes.DT_FLOAT}),
}


def signature_map():
    message = serving.message("SignatureDefMap")()
    for key, (method, inputs, outputs) in SIGNATURES.items():
        definition = message.signature_def[key]
        definition.method_name = f"tensorflow/serving/{method}"
        for given, infos in ((inputs, definition.inputs), (outputs, definition.outputs)):
            for name, dtype in given.items():
                infos[name].name = f"{name}:0"
                infos[name].dtype = dtype
                infos[name].tensor_shape.dim.add().size = -1
    return message.SerializeToString()


class Version:
    """A loaded version without workers; has the face of serving.Version that services see."""

    def __init__(self, number, signatures):
        self.number = number
        self.signatures = signatures
        self.lifecycle = Lifecycle()
        for state in (State.FETCHING, State.STARTING, State.READY):
            self.lifecycle.move(state)
        self.queue = Queue(8)
        self.plan = types.SimpleNamespace(processor="tensorflow_cpu_2.21")
        self.calls = []

    @property
    def ready(self):
        return self.lifecycle.state is State.READY

    def submit(self, call):
        self.calls.append(call)

    def why(self):
        return str(self.lifecycle)

    def report(self):
        return {"number": self.number}


def service(name="m", versions=(1,), token=None, signatures=None):
    made = Service(name, Awake(), lambda: None)
    made.token = token
    signatures = signature_map() if signatures is None else signatures
    for number in versions:
        made.versions[number] = Version(number, signatures)
    made._choose()
    return made


class Host:
    """The router of a host with these services, and what it has counted and told."""

    def __init__(self, *services, limits=None, states=None, **options):
        self.limits = limits or Limits()
        self.services = Services((one.name, one) for one in services or [service()])
        self.metrics = Metrics(lambda: [], lambda: {})
        self.told = []
        self.connections = Connections((self.told.append,))
        states = states or ServiceStates(self.services)
        api = RestApi(self.services, states, self.metrics, RestOptions(**options))
        self.router = Router(
            [api.resolve], lambda request: request.respond(404, b"nothing here\n"), self.limits
        )
        self.protocol = None
        self.transport = Transport()

    def send(self, method, path, body=b"", headers=(), length=None):
        """Send a request on a new connection; what is answered at once, None if nothing is."""
        self.protocol, self.transport, _ = connect(self.router, self.limits, self.connections)
        lines = [f"{method} {path} HTTP/1.1", "Host: h"]
        lines.append(f"Content-Length: {len(body) if length is None else length}")
        lines += [f"{name}: {value}" for name, value in dict(headers).items()]
        self.protocol.data_received("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return self.answer()

    def answer(self):
        """(status, body) of what has been written, None if nothing was."""
        head, _, body = self.transport.written.partition(b"\r\n\r\n")
        return (int(head.split()[1]), body) if head else None

    def post(self, path, document, **headers):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.send("POST", path, body, headers)

    @property
    def head(self):
        """The header lines of the answer."""
        return self.transport.written.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]

    def call(self, name="m", number=None):
        """The one call that a version has."""
        one = self.services[name]
        (call,) = (one.current if number is None else one.versions[number]).calls
        return call

    def finish(self, name="m", number=None, **outputs):
        """Answer the one call with these outputs; what the client then gets."""
        arrays = {key: _array(value) for key, value in outputs.items()}
        body = tensors.response(arrays, typed=False)
        self.call(name, number).finish(Answer(Code.OK, Content.BINARY, body, 70, 1))
        return self.answer()

    def fail(self, code, words):
        """Answer the one call with an error; what the client then gets."""
        self.call().finish(Answer.error(code, words))
        return self.answer()

    def counted(self):
        """{(service, version, method, signature, code): how many} of all that was answered."""
        return {
            (*series.key[:2], series.key.method, series.key.signature, Code(code).name): sum(
                times.counts
            )
            for series in self.metrics.all_series()
            for code, times in series.whole.items()
        }

    async def settled(self):
        """(status, body) once something has been written."""
        async with asyncio.timeout(20):
            while self.answer() is None:
                await asyncio.sleep(0.001)
        return self.answer()


def _array(value):
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def error(words):
    """The body of an error, as the peer writes it."""
    return b'{ "error": ' + json.dumps(words, ensure_ascii=False).encode() + b" }"
