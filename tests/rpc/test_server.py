"""The gRPC server itself: its ports, its TLS, its end."""

import asyncio
import socket
import subprocess
from types import SimpleNamespace

import grpc
import grpc.aio
import pytest
import structlog

from eas_processor.errors import Code, StartError
from eas_processor.pool.call import Answer
from eas_processor.rpc.channel_arguments import settings
from eas_processor.rpc.server import Endpoint, Tls
from tests.ipv6 import has_ipv6
from tests.rpc.fakes import PREDICTION, Scene, Version, predict, run, service

# ports


def test_a_port_that_is_taken_is_told_and_nothing_else_is_harmed():
    async def scene():
        async with Scene(service("m", Version(1, b""))) as first:
            second = Scene(endpoint=Endpoint(port=first.server.port))
            with pytest.raises(StartError, match=str(first.server.port)):
                await second.server.start()
            await second.server.drain(0)
            await first.call("Predict", predict())

    run(scene())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]"])
def test_it_listens_on_both_families(host):
    if ":" in host and not has_ipv6():
        pytest.skip("no IPv6 here")

    async def scene():
        served = Scene(endpoint=Endpoint(host, 0))
        await served.server.start()
        await served.server.drain(0)
        return served.server.port

    assert run(scene()) > 0


def test_a_unix_socket_replaces_a_stale_one_and_is_gone_afterwards(tmp_path):
    path = tmp_path / "grpc.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    async def scene():
        endpoint = Endpoint(port=None, socket_path=str(path))
        served = Scene(service("m", Version(1, b"")), endpoint=endpoint)
        await served.server.start()
        async with grpc.aio.insecure_channel(f"unix:{path}") as served.channel:
            await served.call("Predict", predict())
        await served.server.drain(0)
        return served.server.port

    assert run(scene()) == 0 and not path.exists()


def on_socket(path):
    return Scene(service("m", Version(1, b"")), endpoint=Endpoint(port=None, socket_path=str(path)))


async def answers(path):
    async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
        ask = channel.unary_unary(f"/{PREDICTION}/Predict")
        return await ask(predict().SerializeToString(), timeout=10) is not None


def test_a_unix_socket_that_somebody_listens_on_is_taken_over_as_by_grpcs_own_servers(tmp_path):
    path = tmp_path / "grpc.sock"

    async def scene():
        first = on_socket(path)
        async with first, grpc.aio.insecure_channel(f"unix:{path}") as channel:
            ask = channel.unary_unary(f"/{PREDICTION}/Predict")
            message = predict().SerializeToString()
            assert await ask(message, timeout=10)
            async with on_socket(path):
                assert await ask(message, timeout=10)  # the first one keeps its callers
                await first.server.drain(0)
                return await answers(path)

    with structlog.testing.capture_logs() as told:
        assert run(scene()) and not path.exists()
    assert "another server's socket taken over" in [one["event"] for one in told]


def test_what_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "grpc.sock"
    path.write_text("mine")

    async def scene():
        with pytest.raises(StartError, match="no socket: remove it") as caught:
            async with on_socket(path):
                pass
        return caught.value.message

    assert str(path) in run(scene()) and path.read_text() == "mine"


def test_a_unix_socket_that_is_another_servers_by_now_is_not_removed(tmp_path):
    path = tmp_path / "grpc.sock"

    async def scene():
        first, second = on_socket(path), on_socket(path)
        await first.server.start()
        path.unlink()
        async with second:
            await first.server.drain(0)
            return await answers(path)

    assert run(scene()) and not path.exists()


def test_a_server_that_ends_leaves_its_path_to_the_next_one_at_once(tmp_path):
    path = tmp_path / "grpc.sock"
    version = Version(answer=None)

    async def scene():
        first, second = on_socket(path), on_socket(path)
        first.services["m"].versions[1] = version
        first.services["m"]._choose()
        await first.server.start()
        async with grpc.aio.insecure_channel(f"unix:{path}") as first.channel:
            begun = first.call("Predict", predict())
            await version.came.wait()
            draining = asyncio.create_task(first.server.drain(10))
            await asyncio.sleep(0)
            async with second:
                version.calls[0].finish(Answer(Code.OK, 0, b""))
                await begun
                await draining
                return await answers(path)

    assert run(scene())


def test_channel_arguments_are_passed_on():
    arguments = ("grpc.max_receive_message_length=10",)

    async def scene():
        endpoint = Endpoint(port=0, settings=settings(arguments))
        async with Scene(service("m", Version(1, b"")), endpoint=endpoint) as served:
            return await served.refused("Predict", predict())

    code, text = run(scene())
    assert code == "RESOURCE_EXHAUSTED" and "10" in text


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority, and certificates of a server and of a client that it signed."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True, timeout=60)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
           "-days", "2", "-keyout")  # fmt: skip
    openssl(*new, "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA")
    for name in ("server", "client"):
        openssl(*new, f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-CA", "ca.pem", "-CAkey", "ca.key")  # fmt: skip
    return SimpleNamespace(**{f.name.replace(".", "_"): f.read_bytes() for f in folder.iterdir()})


async def over_tls(tls, credentials):
    """The number of bytes that a client with these credentials is answered."""
    endpoint = Endpoint(port=0, tls=tls)
    served = Scene(service("m", Version(1, b"")), endpoint=endpoint)
    await served.server.start()
    try:
        target = f"localhost:{served.server.port}"
        make = grpc.aio.secure_channel if credentials else grpc.aio.insecure_channel
        async with make(target, *filter(None, [credentials])) as served.channel:
            return len(await served.call("Predict", predict(), timeout=10))
    finally:
        await served.server.drain(0)


def test_tls_serves_who_trusts_it_and_nobody_in_the_clear(authority):
    tls = Tls(authority.server_key, authority.server_pem)
    assert run(over_tls(tls, grpc.ssl_channel_credentials(authority.ca_pem))) > 0
    with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
        run(over_tls(tls, None))


def test_mutual_tls_serves_only_who_shows_a_certificate(authority):
    tls = Tls(authority.server_key, authority.server_pem, authority.ca_pem)
    shown = (authority.client_key, authority.client_pem)
    assert run(over_tls(tls, grpc.ssl_channel_credentials(authority.ca_pem, *shown))) > 0
    with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
        run(over_tls(tls, grpc.ssl_channel_credentials(authority.ca_pem)))


def test_a_certificate_that_is_none_is_told_at_the_start():
    with pytest.raises(StartError, match="certificate"):
        run(over_tls(Tls(b"no key", b"no certificate"), None))


def test_clients_certificates_that_nobody_can_check_are_refused_at_the_start(authority):
    for client_ca in (b"", b"garbage"):
        with pytest.raises(StartError, match=r"TLS|certificate"):
            run(over_tls(Tls(authority.server_key, authority.server_pem, client_ca), None))


# the end


def test_draining_finishes_what_has_begun_and_takes_nothing_new():
    version = Version(answer=None)

    async def scene():
        async with Scene(service("m", version)) as served:
            begun = served.call("Predict", predict())
            await version.came.wait()
            draining = asyncio.create_task(served.server.drain(10))
            await asyncio.sleep(0.2)  # what is on its way when the end begins is still taken
            code, _ = await served.refused("Predict", predict(), timeout=5)
            assert not draining.done()
            version.calls[0].finish(Answer(Code.OK, 0, b""))
            await begun
            await draining
            return code

    assert run(scene()) == "UNAVAILABLE"


def test_what_takes_longer_than_the_grace_is_cut():
    version = Version(answer=None)

    async def scene():
        async with Scene(service("m", version)) as served:
            begun = asyncio.ensure_future(served.refused("Predict", predict()))
            await version.came.wait()
            await served.server.drain(0.05)
            return await begun

    assert run(scene())[0] in ("UNAVAILABLE", "CANCELLED")
    assert not version.queue.waiting


def test_a_server_that_was_never_started_can_be_drained():
    run(Scene().server.drain(1))


# what a request may look like


@pytest.mark.parametrize("how", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_read(how):
    version = Version(1, b"")

    async def scene():
        async with Scene(service("m", version)) as served:
            ask = served.channel.unary_unary(f"/{PREDICTION}/Predict")
            sent = predict()
            sent.inputs["x"].string_val.append(b"0" * 5000)
            await ask(sent.SerializeToString(), timeout=10, compression=how)
            return sent.SerializeToString()

    sent = run(scene())
    assert version.calls[0].body == sent


@pytest.mark.parametrize("path", ["/a/b", f"/{PREDICTION}/Guess", f"/{PREDICTION}"])
def test_a_method_that_is_not_there_is_told_as_such(path):
    async def scene():
        async with Scene(service("m", Version(1, b""))) as served:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await served.channel.unary_unary(path)(b"", timeout=10)
            return caught.value.code()

    assert run(scene()) is grpc.StatusCode.UNIMPLEMENTED


def test_who_speaks_http_1_is_told_what_is_spoken_here():
    async def scene():
        async with Scene() as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            told = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return told

    head, _, body = run(scene()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and b"gRPC" in body
    assert f"Content-Length: {len(body)}".encode() in head
