"""A gRPC server: its ports, its TLS, its end.

Methods take and give serialised messages: grpcio is the floor of this dialect, so nothing is parsed
that need not be.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
import structlog

from eas_processor.errors import StartError
from eas_processor.http.sockets import ALL, shown

BYTES_UNLIMITED = -1
OPTIONS: dict[str, int | str] = {
    "grpc.max_receive_message_length": BYTES_UNLIMITED,
    "grpc.max_send_message_length": BYTES_UNLIMITED,
}

Method = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]

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
    channel_arguments: tuple[tuple[str, int | str], ...] = ()
    shared: bool = False


def unary(service: str, methods: Mapping[str, Method]) -> grpc.GenericRpcHandler:
    """The handler of a service whose methods take one message and give one."""
    handlers = {name: grpc.unary_unary_rpc_method_handler(m) for name, m in methods.items()}
    return grpc.method_handlers_generic_handler(service, handlers)


class GrpcServer:
    """Serves what `handlers` know.

    port: the one that was opened. on_drain(): called before calls in flight are waited for.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        handlers: Sequence[grpc.GenericRpcHandler],
        on_drain: Callable[[], None] = lambda: None,
    ) -> None:
        self._endpoint = endpoint
        self._handlers = handlers
        self._on_drain = on_drain
        self._server: grpc.aio.Server | None = None
        self._socket_path = ""
        self.port = 0

    async def start(self) -> None:
        """Open the ports. Raises StartError if one cannot be had."""
        endpoint = self._endpoint
        options = dict(OPTIONS)
        options["grpc.so_reuseport"] = int(endpoint.shared)  # else a second server must be told
        options.update(endpoint.channel_arguments)
        self._server = grpc.aio.server(options=tuple(options.items()))
        self._server.add_generic_rpc_handlers(tuple(self._handlers))
        if endpoint.port is not None:
            self.port = self._open(f"{shown(endpoint.host or ALL)}:{endpoint.port}")
        if endpoint.socket_path:
            _remove_stale(endpoint.socket_path)
            self._open(f"unix:{endpoint.socket_path}")
            self._socket_path = endpoint.socket_path
        await self._server.start()
        log.info("gRPC listening", host=endpoint.host, port=self.port, socket=self._socket_path)

    def _open(self, address: str) -> int:
        assert self._server is not None
        tls = self._endpoint.tls
        try:
            if tls is None:
                port: int = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, _credentials(tls))
        except RuntimeError:
            what = "is it taken, or a certificate wrong?" if tls else "is it taken?"
            raise StartError(f"cannot listen for gRPC on {address}: {what}") from None
        return port

    async def drain(self, grace_s: float) -> None:
        """Accept no more; finish what has begun within `grace_s`, then cut what is left."""
        self._on_drain()
        if self._server is not None:
            await self._server.stop(grace_s)
        if self._socket_path:
            with contextlib.suppress(OSError):
                os.unlink(self._socket_path)


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    if tls.client_ca is not None and not tls.client_ca.strip():  # grpc would let anybody in
        raise StartError("TLS: clients must show a certificate, and no CA is given to check it")
    pairs = [(tls.key, tls.certificate)]
    return grpc.ssl_server_credentials(pairs, tls.client_ca, tls.client_ca is not None)


def _remove_stale(path: str) -> None:
    """A socket that a server left behind is in the way of the next one."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
