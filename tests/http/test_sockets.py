"""Real sockets: which addresses a host means, and what is said where one cannot be had."""

import asyncio
import errno
import socket
from contextlib import ExitStack, contextmanager

import pytest

from eas_processor.config import Limits
from eas_processor.errors import StartError
from eas_processor.http import sockets
from eas_processor.http.server import HttpServer
from tests.http.fakes import App
from tests.ipv6 import addresses_of_localhost, needs_ipv6


class Told(App):
    """Answers with the address that was reached."""

    def handle(self, request):
        request.respond(200, request.local_address[0].encode())


def answers(port, *addresses):
    """What the server says at each, None where nobody listens."""
    told = []
    for address in addresses:
        try:
            with socket.create_connection((address, port), timeout=10) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                told.append(client.makefile("rb").read().rpartition(b"\r\n\r\n")[2].decode())
        except ConnectionRefusedError:
            told.append(None)
    return told


def served(host, *addresses, port=0, shared=False):
    async def scene():
        server = HttpServer(Told(), Limits())
        chosen = await server.listen(host, port, shared)
        try:
            return await asyncio.to_thread(answers, chosen, *addresses)
        finally:
            await server.drain(0)

    return asyncio.run(scene())


@contextmanager
def taken(*addresses, only=True):
    """A port that others listen on; the addresses are IPv6's alone or IPv4's."""
    with ExitStack() as stack:
        port = 0
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            other = stack.enter_context(socket.socket(family))
            if family == socket.AF_INET6:
                other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only))
            other.bind((address, port))
            other.listen()
            port = other.getsockname()[1]
        yield port


@needs_ipv6
@pytest.mark.parametrize("host", ["::", "[::]", "", "localhost"])
@pytest.mark.parametrize("shared", [False, True])
def test_these_hosts_are_reached_over_both_families_at_one_port(host, shared):
    told = served(host, "127.0.0.1", "::1", shared=shared)
    if host == "localhost" and addresses_of_localhost() != {"127.0.0.1", "::1"}:
        assert "127.0.0.1" in told
    else:
        assert told == ["127.0.0.1", "::1"]


@needs_ipv6
def test_a_host_of_one_family_is_reached_over_that_alone():
    assert served("127.0.0.1", "127.0.0.1", "::1") == ["127.0.0.1", None]
    assert served("0.0.0.0", "127.0.0.1", "::1") == ["127.0.0.1", None]
    assert served("::1", "127.0.0.1", "::1") == [None, "::1"]


@needs_ipv6
@pytest.mark.parametrize("at", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_a_port_that_is_taken_in_one_family_is_not_had_for_both(at):
    with taken(at) as port:
        words = rf"cannot listen on \[::\]:{port} \(all addresses, IPv4 and IPv6\): .*in use"
        with pytest.raises(StartError, match=words):
            served("::", port=port)
        with pytest.raises(StartError, match=words):
            sockets.free_port("::", port)


@needs_ipv6
@pytest.mark.parametrize("at", ["127.0.0.1", "::1"])
def test_a_name_wants_all_its_addresses(monkeypatch, at):
    monkeypatch.setattr(sockets, "_addresses", both)
    with taken(at) as port:
        for ask in (served, sockets.free_port):
            with pytest.raises(StartError, match=rf"cannot listen on localhost:{port}: .*in use"):
                ask("localhost", port=port)
    assert served("localhost", "127.0.0.1", "::1") == ["127.0.0.1", "::1"]


def both(host, port):
    """What `localhost` is on most machines."""
    return [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_without_ipv6_it_is_ipv4(monkeypatch, number):
    class Socket(socket.socket):
        """Of a machine that has no IPv6."""

        def bind(self, address):
            if self.family == socket.AF_INET6:
                raise OSError(number, "no IPv6")
            super().bind(address)

    monkeypatch.setattr(sockets.socket, "socket", Socket)
    opened = sockets.bound("::", 0)
    assert [each.getsockname()[0] for each in opened] == ["0.0.0.0"]
    sockets.close(opened)
    with pytest.raises(StartError, match=r"cannot listen on \[::1\]:0: no IPv6"):
        sockets.bound("::1", 0)


def test_a_host_that_is_none_is_told():
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1:0: .*of this machine"):
        sockets.bound("192.0.2.1", 0)
    name = "no.such.host.invalid"
    with pytest.raises(StartError, match=rf"cannot listen on {name}:80: .*of this machine"):
        sockets.bound(name, 80)


def test_a_port_that_is_taken_is_one_to_choose_anew():
    with taken("127.0.0.1") as port, pytest.raises(StartError, match="in use; choose another port"):
        sockets.bound("127.0.0.1", port)


def test_a_shared_port_is_let_in_and_one_that_is_not_is_not():
    first = sockets.bound("::", 0, shared=True)
    first[0].listen()
    port = sockets.port_of(first)
    second = sockets.bound("::", port, shared=True)
    with pytest.raises(StartError):
        sockets.free_port("::", port)
    sockets.close(first + second)
    assert sockets.free_port("::", port) == port


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_a_name_that_no_host_can_have_is_told_as_such(host):
    with pytest.raises(StartError, match="no host can have this name"):
        sockets.bound(host, 0)
