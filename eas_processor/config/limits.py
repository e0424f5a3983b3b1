"""Host-wide bounds: every queue, body, header and wait of the host has its limit here.

The unit is the last word of each name. The HTTP server, the wall and the host's start and stop
read these; limits of one service (queue length, deadline) come from its service JSON instead.
"""

import msgspec

KIB = 1024
MIB = 1024 * KIB


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one host process, all services together."""

    # The request line and all header lines of one request; beyond it 431.
    header_bytes_max: int = 64 * KIB
    # How many header lines one request may have; beyond it 431.
    header_lines_max: int = 200
    # The target of the request line; beyond it 414.
    url_bytes_max: int = 8 * KIB
    # The body of one request; beyond it 413.
    body_bytes_max: int = 256 * MIB
    # Connections open at once; more are answered 503 and closed as they come.
    connections_max: int = 4096
    # The kernel's queue of connections not yet accepted.
    backlog_connections_max: int = 1024
    # Requests of one connection that are read before the first of them is answered.
    pipelined_requests_max: int = 64
    # Answers not yet taken by a slow client; beyond it that connection is read no more.
    write_buffer_bytes_max: int = 1 * MIB
    # Request bodies held in memory, all connections together; beyond it 503.
    held_bytes_max: int = 2048 * MIB
    # How long a connection may wait without a request.
    keep_alive_idle_s: float = 75.0
    # From a request's first byte to the end of its headers; beyond it 408.
    header_timeout_s: float = 10.0
    # How long a client may leave an answer untaken before the connection is dropped.
    write_idle_timeout_s: float = 60.0
    # How long a worker may take from its start to its first word.
    worker_start_timeout_s: float = 120.0
    # How long a worker may take to load its model.
    model_load_timeout_s: float = 1800.0
    # How long all warm-up requests together may take.
    warm_up_timeout_s: float = 600.0
    # The largest warm-up file.
    warm_up_bytes_max: int = 256 * MIB
    # How long a worker may take to end itself before it is killed.
    worker_stop_timeout_s: float = 10.0
