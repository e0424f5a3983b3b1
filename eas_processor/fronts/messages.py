"""What process 1 and a front tell each other: MessagePack, each after its length."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from eas_processor.config import Limits
from eas_processor.modelserver.configs import Logging
from eas_processor.observe.watching import Observing
from eas_processor.rpc.channel_arguments import DEFAULTS, Settings

LENGTH = struct.Struct("<I")
WORKER = struct.Struct("<Q")  # beside a wall's end that is handed to a front: whose it is


class Grpc(msgspec.Struct, frozen=True):
    """gRPC's port: see `rpc.server.Endpoint`, `rpc.tfserving.Options`.

    port: None where process 1 listens on a UNIX socket only. pem: what `rpc.server.Tls` is made of;
    empty without TLS.
    """

    port: int | None
    pem: list[bytes] = []
    settings: Settings = DEFAULTS
    as_tensor_content: bool = False
    timeout_s: float | None = None
    health: bool = True


class Serving(msgspec.Struct, frozen=True):
    """How TensorFlow Serving's dialects are spoken: see `api.rest.RestOptions`.

    grpc: None for no gRPC. request_log_dir: see `modelserver.request_log.RequestLogs`.
    """

    token: str = ""
    cors: bool = False
    check_methods: bool = False
    request_log_dir: str = ""
    grpc: Grpc | None = None


class Setup(msgspec.Struct, frozen=True, tag=True):
    """The first word to a front. index: which of the host's processes it is, from 0.

    port: of HTTP, None for none. pem: what `http.tls` makes its context of; empty without TLS.
    """

    index: int
    processes: int
    address: str
    port: int | None
    pem: list[bytes]
    serving: Serving
    limits: Limits
    observing: Observing
    connections_row: int


class LaneState(msgspec.Struct, frozen=True):
    """A worker that takes calls. row: on the board. least, most: calls it may have at once.

    joins: whether it runs calls together.
    """

    worker: int
    pid: int
    row: int
    least: int
    most: int
    joins: bool


class VersionState(msgspec.Struct, frozen=True):
    """A version. id: no other version ever has it. state: the name of a `lifecycle.State`.

    queue_row: on the board; -1: none was left. signatures: see `Version`.
    """

    id: int
    number: int
    state: str
    reason: str
    processor: str
    queue_calls_max: int
    queue_row: int
    hang_timeout_s: float
    signatures: bytes
    lanes: list[LaneState]


class ServiceState(msgspec.Struct, frozen=True):
    """A service, with what `Service` knows of itself. rate_limit: 0 for none."""

    name: str
    token: str | None
    request_timeout_s: float
    decompressor: str
    rate_limit: int
    rate_row: int
    labels: dict[str, int]
    trouble: str
    versions: list[VersionState]


class Deployed(msgspec.Struct, frozen=True, tag=True):
    """All services as they are now. open: whether the ports are to be listened on.

    logged: which models' requests are recorded, and how.
    """

    services: list[ServiceState]
    open: bool
    logged: dict[str, Logging]


class Lost(msgspec.Struct, frozen=True, tag=True):
    """A worker has ended; reason: the words after "the worker"."""

    worker: int
    reason: str


class Drain(msgspec.Struct, frozen=True, tag=True):
    """Accept no more, finish what has begun within so many seconds, end."""

    grace_s: float


class CountsWanted(msgspec.Struct, frozen=True, tag=True):
    """Tell what was counted. number: to come back with the answer."""

    number: int


class Times(msgspec.Struct, frozen=True):
    """See `observe.series.Times`."""

    counts: list[int]
    seconds: float


class SeriesCounts(msgspec.Struct, frozen=True):
    """See `observe.series.Series`."""

    service: str
    version: str
    dialect: str
    method: str
    signature: str
    whole: dict[int, Times]
    queue: Times
    wire: Times
    run: Times
    batches: dict[int, int]
    example_counts: dict[int, int]


class Counts(msgspec.Struct, frozen=True, tag=True):
    """All that a front has counted since it started. number: of the question, 0 if unasked.

    logged: see `RequestLogs.counts`, as (model, code's name, records).
    """

    number: int
    series: list[SeriesCounts]
    logged: list[tuple[str, str, int]]


class Released(msgspec.Struct, frozen=True, tag=True):
    """A front has closed its wall to a worker."""

    worker: int


class Hung(msgspec.Struct, frozen=True, tag=True):
    """A worker owes a front an answer long past its deadline."""

    worker: int
    reason: str


class Question(msgspec.Struct, frozen=True, tag=True):
    """The head of a request that process 1 is to answer: see `http.messages.Request`."""

    number: int
    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    id: bytes
    unpacked: bool
    watched: bool
    started_s: float
    local_address: tuple[str, int]


class Rest(msgspec.Struct, frozen=True, tag=True):
    """The body of a question, once it has come as a whole."""

    number: int
    body: bytes


class Call(msgspec.Struct, frozen=True, tag=True):
    """A gRPC call that process 1 is to answer: see `rpc.context.Context`."""

    number: int
    path: bytes
    body: bytes
    fields: list[tuple[bytes, bytes]]
    deadline_s: float | None
    peer: tuple[str, int] | None


class Forgotten(msgspec.Struct, frozen=True, tag=True):
    """The client of a question or of a call has left."""

    number: int


class Reply(msgspec.Struct, frozen=True, tag=True):
    """The answer to a question. about: for the front's watchers."""

    number: int
    status: int
    body: bytes
    content_type: bytes
    headers: list[tuple[bytes, bytes]]
    close: bool
    about: tuple[str, str, str, float, int] | None


class Returned(msgspec.Struct, frozen=True, tag=True):
    """The answer to a call. code: of `errors.Code`; message: what is wrong."""

    number: int
    code: int
    message: str
    body: bytes


ToFront = Setup | Deployed | Lost | Drain | CountsWanted | Reply | Returned
ToHost = Counts | Released | Hung | Question | Rest | Call | Forgotten

Message = TypeVar("Message")

_encode = msgspec.msgpack.Encoder().encode


def encode(message: ToFront | ToHost) -> tuple[bytes, bytes]:
    """A message as it travels: its length, and itself. Raises UnicodeEncodeError; see `plain`."""
    data = _encode(message)
    return LENGTH.pack(len(data)), data


def plain(text: str) -> str:
    """Words that can travel: what a path holds that is not UTF-8 is replaced."""
    return text.encode("utf-8", "replace").decode()


class Decoder(Generic[Message]):
    """Bytes in, messages out; like `worker.frames.FrameDecoder`."""

    def __init__(self, kind: object) -> None:
        """kind: the type, or union of types, of what comes."""
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are now complete. Raises msgspec.DecodeError."""
        self._data += data
        while len(self._data) >= LENGTH.size:
            (size,) = LENGTH.unpack_from(self._data)
            end = LENGTH.size + size
            if len(self._data) < end:
                return
            message = bytes(memoryview(self._data)[LENGTH.size : end])
            del self._data[:end]
            yield self._decode(message)
