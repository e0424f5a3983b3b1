"""REST bodies that are not small JSON: npy, npz, raw bytes, protobuf; and large ones."""

import asyncio
import io
import json
import threading

import numpy as np
import pytest

from eas_processor.api.rest_calls import INLINE_BYTES_MAX
from eas_processor.codec import rest, serving, tensors
from eas_processor.errors import Code
from eas_processor.pool.call import Answer
from eas_processor.serving.lifecycle import State
from tests.api.rest_fakes import Host, Version, error, service, signature_map

PREDICT = "/v1/models/m:predict"
X = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
NPY, NPZ = "application/x-npy", "application/x-npz"
RAW, PROTOBUF = "application/octet-stream", "application/x-protobuf"


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def ask(body, content_type, path=PREDICT, **headers):
    host = Host()
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    host.send("POST", path, body, {"Content-Type": content_type, **more})
    assert host.answer() is None, host.answer()
    return host


def sent(host):
    """The tensors that cross the wall."""
    return {name: t.values.tolist() for name, t in tensors.inputs(host.call().body).items()}


# requests


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (npy(X), NPY),
        (npz(x=X), NPZ),
        (npy(X), "Application/X-NPY; charset=none"),
        (tensors.request({"x": X}), PROTOBUF),
    ],
)
def test_a_tensor_in_any_form_is_the_same_call(body, content_type):
    host = ask(body, content_type)
    assert sent(host) == {"x": X.tolist()}
    assert host.finish(y=[1.5, 2.5]) == (
        200,
        b'{\n    "outputs": [\n        1.5,\n        2.5\n    ]\n}',
    )


def test_raw_bytes_are_described_by_headers():
    host = ask(X.tobytes(), RAW, X_Tensor_Shape="2,2", X_Tensor_Dtype="float32")
    assert sent(host) == {"x": X.tolist()}


def test_raw_bytes_are_described_by_the_query():
    path = PREDICT + "?shape=2,2&input=x&signature_name=both&output_filter=z,y"
    host = ask(X.tobytes(), RAW, path)
    message = serving.parse("PredictRequest", host.call().body)
    assert sent(host) == {"x": X.tolist()}
    assert message.model_spec.signature_name == "both"
    assert list(message.output_filter) == ["z", "y"]


def test_a_header_wins_over_the_query():
    host = ask(X.tobytes(), RAW, PREDICT + "?shape=9,9", X_Tensor_Shape="2,2")
    assert sent(host) == {"x": X.tolist()}


def test_bytes_of_no_stated_shape_are_json():
    assert sent(ask(b'{"instances": [1.0]}', RAW)) == {"x": [1.0]}


def test_a_query_is_malformed_where_the_body_is_json():
    host = Host()
    path = PREDICT + "?shape=2,2"
    words = f"Malformed request: POST {path}"
    assert host.post(path, {"instances": [1.0]}) == (400, error(words))


def test_the_other_methods_read_json_whatever_it_is_called():
    host = Host()
    document = {"signature_name": "to_number", "examples": [{"x": 1.0}]}
    headers = {"Content-Type": NPY}
    host.send("POST", "/v1/models/m:regress", json.dumps(document).encode(), headers)
    assert host.finish(outputs=[2.5])[0] == 200


def test_a_body_that_is_not_what_it_is_called_is_refused():
    host = Host()
    status, body = host.send("POST", PREDICT, b"[1, 2]", {"Content-Type": NPY})
    assert status == 400 and b"no npy array" in body


# answers


def answered(accept):
    host = Host()
    host.post(PREDICT, {"instances": [[1.0]]}, Accept=accept)
    status, body = host.finish(y=X)
    assert status == 200, body
    return host, body


def test_an_answer_as_npy():
    host, body = answered(NPY)
    assert np.array_equal(np.load(io.BytesIO(body)), X)
    assert f"Content-Type: {NPY}" in host.head and "X-Model-Version: 1" in host.head


def test_an_answer_as_npz():
    host, body = answered(f"text/html, {NPZ};q=0.9")
    assert np.array_equal(np.load(io.BytesIO(body))["y"], X)
    assert f"Content-Type: {NPZ}" in host.head


def test_an_answer_as_raw_bytes_says_what_they_are():
    host, body = answered(RAW)
    assert body == X.tobytes()
    assert {"X-Tensor-Dtype: float", "X-Tensor-Shape: 2,2"} <= set(host.head)


def test_an_answer_as_protobuf_names_the_model_that_answered():
    _, body = answered(PROTOBUF)
    message = serving.parse("PredictResponse", body)
    spec = message.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 1, "serving_default")
    assert tensors.outputs(body)["y"].values.tolist() == X.tolist()


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html"])
def test_whoever_accepts_anything_gets_json(accept):
    host, body = answered(accept)
    assert json.loads(body) == {"predictions": X.tolist()}
    assert "Content-Type: application/json" in host.head


def test_raw_bytes_of_two_outputs_are_refused():
    host = Host()
    host.post(PREDICT, {"instances": [1.0], "signature_name": "both"}, Accept=RAW)
    status, body = host.finish(y=X, z=X)
    assert status == 400 and b"output_filter" in body


# large ones


@pytest.fixture
def readers(monkeypatch):
    """The names of the threads in which bodies are read and answers written."""
    seen = []

    def telling(work):
        def tell(*given):
            seen.append(threading.current_thread().name)
            return work(*given)

        return tell

    for work in (rest.predict_request, rest.predict_answer):
        monkeypatch.setattr(rest, work.__name__, telling(work))
    return seen


LARGE = {"instances": [0.5] * (INLINE_BYTES_MAX // 4)}


async def called(host):
    async with asyncio.timeout(20):
        while not host.services["m"].current.calls:
            assert host.answer() is None, host.answer()
            await asyncio.sleep(0.001)
    return host.call()


def test_small_bodies_are_translated_at_once(readers):
    host = Host()
    host.post(PREDICT, {"instances": [1.0]})
    host.finish(y=[1.0])
    assert readers == [threading.main_thread().name] * 2


def test_large_bodies_are_translated_beside_the_event_loop(readers):
    async def asked():
        host = Host()
        host.post(PREDICT, LARGE)
        await called(host)
        host.finish(y=np.zeros(INLINE_BYTES_MAX, np.float32))
        return await host.settled()

    status, body = asyncio.run(asked())
    assert status == 200 and len(json.loads(body)["predictions"]) == INLINE_BYTES_MAX
    assert len(readers) == 2 and all(name.startswith("rest") for name in readers)


def test_a_mistake_in_a_large_body_is_told():
    async def asked():
        host = Host()
        host.post(PREDICT, json.dumps(LARGE).encode()[:-1])
        return await host.settled(), host.counted()

    (status, body), counted = asyncio.run(asked())
    assert status == 400 and b"JSON Parse error" in body
    assert counted == {("m", "1", "predict", "", "INVALID_ARGUMENT"): 1}


def test_a_large_body_whose_time_is_over_is_not_read(readers):
    async def asked():
        host = Host()
        host.services["m"].request_timeout_s = -1.0
        host.post(PREDICT, LARGE)
        return await host.settled()

    assert asyncio.run(asked()) == (504, error("the request took too long"))
    assert readers == []


def test_a_version_that_begins_to_end_while_a_body_is_read_gets_no_more_calls():
    async def asked():
        host = Host(service(versions=(1,)))
        model = host.services["m"]
        host.post(PREDICT, LARGE)
        old, model.versions[2] = model.current, Version(2, signature_map())
        old.lifecycle.move(State.DRAINING)
        model._version_changed()
        await called(host)
        return old.calls, host.finish(y=[1.0])

    calls, (status, _) = asyncio.run(asked())
    assert calls == [] and status == 200


def test_where_no_version_is_left_once_a_body_is_read_others_are_asked():
    async def asked():
        others = []
        host = Host(service(versions=(1,)), elsewhere=others.append)
        host.post(PREDICT, LARGE)
        host.services["m"].current.lifecycle.move(State.DRAINING)
        async with asyncio.timeout(20):
            while not others:
                assert host.answer() is None, host.answer()
                await asyncio.sleep(0.001)
        return host, others

    host, others = asyncio.run(asked())
    assert [json.loads(request.body) for request in others] == [LARGE]
    assert host.counted() == {}  # those who answer count


def test_a_client_that_leaves_while_its_body_is_read_is_no_call():
    async def asked():
        host = Host()
        host.post(PREDICT, LARGE)
        host.transport.close()
        host.protocol.connection_lost(None)
        async with asyncio.timeout(20):
            while not host.counted():
                await asyncio.sleep(0.001)
        return host

    host = asyncio.run(asked())
    assert host.counted() == {("m", "1", "predict", "", "CANCELLED"): 1}
    assert host.services["m"].current.calls == [] and host.answer() is None


def test_a_client_that_leaves_while_its_answer_is_written_harms_nobody():
    async def asked():
        host = Host()
        host.post(PREDICT, {"instances": [1.0]})
        outputs = tensors.response({"y": np.zeros(INLINE_BYTES_MAX, np.float32)}, typed=False)
        host.call().finish(Answer(Code.OK, 0, outputs))
        host.transport.close()
        host.protocol.connection_lost(None)
        async with asyncio.timeout(20):
            while not host.counted():
                await asyncio.sleep(0.001)
        return host

    assert asyncio.run(asked()).transport.written == b""
