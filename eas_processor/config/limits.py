"""Host-wide bounds: every queue, body, header and wait of the host has its limit here.

The unit is part of each name. The HTTP server, the wall and the host's start and stop read these;
limits of one service (queue length, deadline) come from its service JSON instead.
"""

from collections.abc import Iterator
from typing import Annotated, NamedTuple, get_type_hints

import msgspec

KIB = 1024
MIB = 1024 * KIB

UNITS = {"s": "seconds"}  # where the word in a name is not the unit's own


def _means(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Bound(NamedTuple):
    """One limit, for people. unit: "bytes", "seconds", "connections" …"""

    name: str
    value: int | float
    unit: str
    meaning: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one host process, all services together."""

    header_bytes_max: Annotated[
        int, _means("the request line and all header lines of one request; beyond it 431")
    ] = 64 * KIB
    header_lines_max: Annotated[
        int, _means("header lines of one request, trailers included; beyond it 431")
    ] = 200
    url_bytes_max: Annotated[int, _means("the target of the request line; beyond it 414")] = 8 * KIB
    body_bytes_max: Annotated[
        int, _means("the body of one request, as it came and unpacked; beyond it 413")
    ] = 256 * MIB
    answer_gzip_bytes_min: Annotated[
        int, _means("answers from this size on are packed for clients that take gzip; 0: never")
    ] = 1 * KIB
    connections_max: Annotated[
        int, _means("connections open at once; more are answered 503 and closed as they come")
    ] = 4096
    backlog_connections_max: Annotated[
        int, _means("the kernel's queue of connections not yet accepted")
    ] = 1024
    pipelined_requests_max: Annotated[
        int, _means("requests of one connection that are read before the first is answered")
    ] = 64
    write_buffer_bytes_max: Annotated[
        int, _means("answers not yet taken by a slow client; beyond it that client is read no more")
    ] = 1 * MIB
    held_bytes_max: Annotated[
        int, _means("request bodies in memory, all connections together; beyond it 503")
    ] = 2048 * MIB
    shared_bytes_max: Annotated[
        int, _means("memory for large bodies that workers read in place; 0: all go by socket")
    ] = 256 * MIB
    keep_alive_idle_s: Annotated[
        float, _means("how long a connection may wait without a request")
    ] = 75.0
    header_timeout_s: Annotated[
        float, _means("from a request's first byte to the end of its headers; beyond it 408")
    ] = 10.0
    write_idle_timeout_s: Annotated[
        float, _means("how long a client may leave an answer untaken before it is cut off")
    ] = 60.0
    worker_start_timeout_s: Annotated[
        float, _means("how long a worker may take from its start to its first word")
    ] = 120.0
    model_load_timeout_s: Annotated[
        float, _means("how long a worker may take to load its model")
    ] = 1800.0
    warm_up_timeout_s: Annotated[
        float, _means("how long all warm-up requests together may take")
    ] = 600.0
    warm_up_bytes_max: Annotated[int, _means("the largest warm-up file")] = 256 * MIB
    worker_hang_timeout_s: Annotated[
        float, _means("how long past a request's deadline a worker may owe its answer, then killed")
    ] = 30.0
    worker_retire_timeout_s: Annotated[
        float, _means("how long a worker that is being replaced may go on with what it has")
    ] = 60.0
    worker_stop_timeout_s: Annotated[
        float, _means("how long a worker may take to end itself before it is killed")
    ] = 10.0

    def each_of(self, processes: int) -> "Limits":
        """Of each process of a host, so that all together hold no more than one alone would."""
        held = max(self.held_bytes_max // processes, self.body_bytes_max)
        shared = self.shared_bytes_max // processes
        return msgspec.structs.replace(self, held_bytes_max=held, shared_bytes_max=shared)

    def bounds(self) -> Iterator[Bound]:
        """Every limit with its value, unit and meaning, in the order above."""
        hints = get_type_hints(type(self), include_extras=True)
        for field in msgspec.structs.fields(self):
            (meta,) = hints[field.name].__metadata__
            value = getattr(self, field.name)
            yield Bound(field.name, value, _unit(field.name), meta.description)


def _unit(name: str) -> str:
    words = [word for word in name.split("_") if word not in ("max", "min")]
    return UNITS.get(words[-1], words[-1])
