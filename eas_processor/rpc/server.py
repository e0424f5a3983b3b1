"""A gRPC server: its ports, its TLS, its end."""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from eas_processor.errors import ConfigError, StartError
from eas_processor.http import sockets, tls, unix_sockets
from eas_processor.http2.connection import Http2Connection
from eas_processor.http2.lifetime import Connections, Lifetime
from eas_processor.rpc.channel_arguments import DEFAULTS, Settings
from eas_processor.rpc.dispatch import Dispatcher, Methods

BACKLOG = 1024
TICK_S = 0.5
POLL_S = 0.02
TLS_END_S = 5.0  # for a client to answer when TLS ends

log = structlog.get_logger("grpc")


@dataclass(frozen=True)
class Tls:
    """PEM texts. client_ca: who signs clients' certificates; clients must show one if it is set."""

    key: bytes
    certificate: bytes
    client_ca: bytes | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where to listen. host: `::` is all addresses, IPv4 and IPv6. port: None for no TCP, 0 for any
    free one. socket_path: a UNIX socket.

    shared: whether other processes of the host listen on the port, too.
    """

    host: str = "127.0.0.1"
    port: int | None = 8500
    socket_path: str = ""
    tls: Tls | None = None
    settings: Settings = DEFAULTS
    shared: bool = False


class GrpcServer:
    """Serves `methods`, by path.

    port: the one that was opened. on_drain(): called before calls in flight are waited for.
    """

    def __init__(
        self, endpoint: Endpoint, methods: Methods, on_drain: Callable[[], None] = lambda: None
    ) -> None:
        self._endpoint = endpoint
        self.methods = methods
        self._on_drain = on_drain
        self._servers: list[asyncio.Server] = []
        self._connections: Connections | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._unix: unix_sockets.UnixListener | None = None
        self.port = 0

    async def start(self) -> None:
        """Open the ports. Raises StartError if one cannot be had."""
        endpoint = self._endpoint
        settings = endpoint.settings
        app = Dispatcher(self.methods, settings.receive_bytes_max, settings.send_bytes_max)
        secured = _context(endpoint.tls)
        how: dict[str, Any] = {"ssl": secured}
        if secured:
            how["ssl_shutdown_timeout"] = TLS_END_S
        self._connections = Connections(app, settings.bounds)
        connection = functools.partial(Http2Connection, self._connections)
        if endpoint.port is not None:
            shared = endpoint.shared or settings.shares_port
            self._servers, self.port = await sockets.listen(
                connection, endpoint.host, endpoint.port, shared, backlog=BACKLOG, **how
            )
        if endpoint.socket_path:
            await self._open_socket(connection, how)
        self._tick()
        log.info("gRPC listening", host=endpoint.host, port=self.port, socket=endpoint.socket_path)

    async def _open_socket(self, made: Callable[[], Http2Connection], how: dict[str, Any]) -> None:
        path = self._endpoint.socket_path
        loop = asyncio.get_running_loop()
        try:
            self._unix = unix_sockets.listen(path, BACKLOG, take=True)  # as gRPC's own servers do
            if self._unix.taken:
                log.warning("another server's socket taken over", socket=path)
            listening = self._unix.socket
            server = await loop.create_unix_server(made, sock=listening, backlog=BACKLOG, **how)
        except OSError as error:
            words = f"cannot listen for gRPC on unix:{path}: {error.strerror or error}"
            raise StartError(words) from None
        self._servers.append(server)

    def _tick(self) -> None:
        now_s = time.monotonic()
        try:
            for connection in self._connected():
                connection.tick(now_s)
            self._tell_refused()
        except Exception:  # without the next tick nothing that stalls would ever end
            log.exception("tick failed")
        self._ticking = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tell_refused(self) -> None:
        connections = self._connections
        if connections is not None and connections.refused:
            log.warning(
                "connections refused: too many are open",
                refused=connections.refused,
                open=len(connections.open),
            )
            connections.refused = 0

    def _connected(self) -> tuple[Lifetime, ...]:
        return tuple(self._connections.open) if self._connections is not None else ()

    async def drain(self, grace_s: float) -> None:
        """Accept no more; finish what has begun within `grace_s`, then cut what is left."""
        self._on_drain()
        if self._unix is not None:
            self._unix.remove()
        for server in self._servers:
            server.close()
        if self._connections is not None:
            self._connections.drains = True
        for connection in self._connected():
            connection.drain()
        end_s = time.monotonic() + grace_s
        while self._connected() and time.monotonic() < end_s:
            await asyncio.sleep(POLL_S)
        if self._ticking is not None:
            self._ticking.cancel()
        for connection in self._connected():
            connection.abort()


def _context(secured: Tls | None) -> ssl.SSLContext | None:
    if secured is None:
        return None
    client_ca = secured.client_ca
    if client_ca is not None and not client_ca.strip():
        raise StartError("TLS: clients must show a certificate, and no CA is given to check it")
    try:
        return tls.context(secured.key, secured.certificate, client_ca, protocol="h2")
    except ConfigError as error:
        raise StartError(f"gRPC: {error.message}") from None
