"""Listening sockets and their connections."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time

from eas_processor.config import Limits
from eas_processor.http import sockets
from eas_processor.http.connections import Connections
from eas_processor.http.messages import Application
from eas_processor.http.protocol import HttpProtocol
from eas_processor.observe.exchange import Watcher

DRAIN_POLL_S = 0.02


class HttpServer:
    """Listens on one host and hands complete requests to `app`.

    watchers: told of each request once it is over, such as the access log; none cost nothing.
    tls: a context of `http.tls`, None for plain HTTP.
    """

    def __init__(
        self,
        app: Application,
        limits: Limits,
        watchers: tuple[Watcher, ...] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._app = app
        self._limits = limits
        self._connections = Connections(watchers)
        self._servers: list[asyncio.Server] = []

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections.open)

    async def listen(self, host: str, port: int, shared: bool = False) -> int:
        """Open the port (0: any free one); its number. Raises StartError if it cannot be had.

        host: as of `sockets.bound`. shared: other processes may listen there, too; the kernel
        divides the connections.
        """
        opened, chosen = await sockets.listen(
            lambda: HttpProtocol(self._app, self._limits, self._connections),
            host,
            port,
            shared,
            backlog=self._limits.backlog_connections_max,
            ssl=self._tls,
            ssl_handshake_timeout=self._limits.header_timeout_s if self._tls else None,
        )
        self._servers += opened
        return chosen

    def tick(self, now_s: float) -> None:
        """Let each connection end what took too long."""
        for connection in tuple(self._connections.open):
            connection.tick(now_s)

    async def drain(self, grace_s: float) -> None:
        """Accept no more; finish what has begun within `grace_s`, then cut what is left."""
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections.open):
            connection.drain()
        end_s = time.monotonic() + grace_s
        while self._connections.open and time.monotonic() < end_s:
            await asyncio.sleep(DRAIN_POLL_S)
        for connection in tuple(self._connections.open):
            connection.abort()
        for server in self._servers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 1.0)
