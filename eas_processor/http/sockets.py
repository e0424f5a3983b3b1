"""Sockets to listen on: all of a name's addresses, and both families where that is `::`.

The event loop's own way makes `::` one of IPv6 alone, and gives each address of a name a port of
its own where any free one is asked for.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

from eas_processor.errors import StartError

ALL = "::"  # every address of this machine, IPv4 and IPv6
_ALL_IPV4 = "0.0.0.0"
_NOT_HERE = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
_TRIES = 20  # to find a port that is free at all addresses of a name

Address = tuple[socket.AddressFamily, tuple[Any, ...]]


def bound(host: str, port: int, shared: bool = False) -> list[socket.socket]:
    """Sockets that are bound and do not listen yet, all at one port. Raises StartError.

    host: `::` or nothing is all addresses of both families, or of IPv4 where there is no IPv6.
    port: 0 for any free one. shared: other processes may listen there, too.
    """
    host = host.strip("[]") or ALL
    tries = 1 if port else _TRIES
    while True:
        tries -= 1
        try:
            return _bound(host, port, shared)
        except OSError as error:
            if not tries or error.errno != errno.EADDRINUSE:
                raise no_port(host, port, error) from None


async def listen(
    made: Callable[[], asyncio.BaseProtocol], host: str, port: int, shared: bool, **how: Any
) -> tuple[list[asyncio.Server], int]:
    """Servers at all addresses, and the port. Raises StartError if it cannot be had.

    made(): a connection's protocol. host, port, shared: as of `bound`. how: of `create_server`.
    """
    opened = bound(host, port, shared)
    chosen, loop = port_of(opened), asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    try:
        for each in opened:
            servers.append(await loop.create_server(made, sock=each, **how))
    except OSError as error:
        for server in servers:
            server.close()
        close(opened[len(servers) :])
        raise no_port(host, chosen, error) from None
    return servers, chosen


def free_port(host: str, port: int) -> int:
    """The port (0: any) if nobody listens there yet, also if others share it. Raises StartError.

    To be asked by the first of several who will share it: it would be let in anywhere. Whoever asks
    keeps the port from all others who ask, until its process ends.
    """
    sockets = bound(host, port)
    found = port_of(sockets)
    try:
        _claim(f"\0eas-processor {host} {found}")
    except OSError as error:
        raise no_port(host, found, error) from None
    finally:
        close(sockets)
    return found


_claims: dict[str, socket.socket] = {}


def _claim(name: str) -> None:
    """Take a name that one process of this network can have; its end gives it back."""
    if name not in _claims:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(name)
        except OSError:
            claim.close()
            raise
        _claims[name] = claim


def port_of(sockets: list[socket.socket]) -> int:
    """The port that they have in common."""
    port: int = sockets[0].getsockname()[1]
    return port


def close(sockets: list[socket.socket]) -> None:
    """Give up what was bound."""
    for each in sockets:
        each.close()


def shown(host: str) -> str:
    """A host as it stands in an address with a port: `[::1]`."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def plain(address: str) -> str:
    """An address of IPv4 as itself, which a socket of both families shows as `::ffff:1.2.3.4`."""
    return address.removeprefix("::ffff:")


def no_port(host: str, port: int, error: OSError) -> StartError:
    """Says that a port cannot be had."""
    where = f"{shown(host or ALL)}:{port}"
    if where.startswith("[::]:"):
        where += " (all addresses, IPv4 and IPv6)"
    words = f"cannot listen on {where}: {error.strerror or error}"
    if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRNOTAVAIL, errno.EINVAL):
        return StartError(f"{words}; choose an address of this machine, or :: for all")
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        return StartError(f"{words}; choose another port")
    return StartError(words)


def _bound(host: str, port: int, shared: bool) -> list[socket.socket]:
    """What a machine does not have of the host's addresses is left out, unless that is all."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in _addresses(host, port):
            if host == ALL and sockets:  # one socket of IPv6 takes both
                break
            at = (address[0], port_of(sockets) if sockets else port, *address[2:])
            try:
                sockets.append(_bind(family, at, host == ALL, shared))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
        if missing is not None and not sockets:
            raise missing
    except BaseException:
        close(sockets)
        raise
    return sockets


def _addresses(host: str, port: int) -> list[Address]:
    if host == ALL:
        return [(socket.AF_INET6, (ALL, port, 0, 0)), (socket.AF_INET, (_ALL_IPV4, port))]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError:  # `a..b`, or a label over 63 characters
        raise OSError(errno.EINVAL, "no host can have this name") from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind(
    family: socket.AddressFamily, address: tuple[Any, ...], both: bool, shared: bool
) -> socket.socket:
    """both: a socket of IPv6 takes connections over IPv4, too."""
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made
