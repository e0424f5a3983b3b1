"""PredictionService over a socket: who is asked, with what, and what comes back when it fails."""

import grpc.aio
import pytest

from eas_processor.codec import serving
from eas_processor.errors import Code
from eas_processor.http2.heads import Head
from eas_processor.observe.metrics import Metrics
from eas_processor.pool.bodies import Bodies, SharedBody
from eas_processor.rpc.context import Context
from eas_processor.rpc.routes import REQUESTS, Routes, Spec
from eas_processor.rpc.status import status
from eas_processor.serving.lifecycle import State
from tests.codec.models import signature_map
from tests.rpc import fakes
from tests.rpc.fakes import Scene, Version, parsed, predict, run, service

NONE = "Servable not found for request: "
OUTPUTS = fakes.outputs(y=[3.0])


def refusal(request, *services, method="Predict", **more):
    """How one request to a server with these services is refused."""

    async def scene():
        async with Scene(*services) as served:
            return await served.refused(method, request, **more)

    return run(scene())


def test_a_request_crosses_unopened_and_the_answer_says_which_version_it_was():
    version = Version(7, OUTPUTS)
    sent = predict(signature="").SerializeToString() + b"\xfa\x07\x03odd"

    async def scene():
        async with Scene(service("m", version)) as served:
            return await served.call("Predict", sent)

    answer = parsed("PredictResponse", run(scene()))
    assert version.calls[0].body == sent
    assert answer.outputs["y"].float_val == [3.0]
    assert answer.model_spec.name == "m" and answer.model_spec.version.value == 7
    assert answer.model_spec.signature_name == "serving_default"


@pytest.mark.parametrize(
    ("asked", "code", "text"),
    [
        ({"name": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        ({"name": "z"}, "NOT_FOUND", NONE + "Latest(z)"),
        ({"name": "z", "label": "l"}, "INVALID_ARGUMENT",
         "Unrecognized servable version label: l"),
        ({"name": "z", "version": 4}, "NOT_FOUND", NONE + "Specific(z, 4)"),
        ({"version": 9}, "NOT_FOUND", NONE + "Specific(m, 9)"),
        ({"version": -1}, "NOT_FOUND", NONE + "Specific(m, -1)"),
        ({"label": "l"}, "INVALID_ARGUMENT", "Unrecognized servable version label: l"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["Predict", "Classify", "Regress"])
def test_who_is_not_there_is_told_in_the_peers_words(method, asked, code, text):
    assert refusal(predict(**asked), service("m", Version()), method=method) == (code, text)


@pytest.mark.parametrize("method", ["Predict", "Classify", "Regress", "GetModelMetadata"])
def test_a_request_without_a_model_spec_is_told_so(method):
    told = refusal(b"", service("m", Version()), method=method)
    assert told == ("INVALID_ARGUMENT", "Missing ModelSpec")


@pytest.mark.parametrize("method", ["Predict", "Classify", "Regress"])
def test_bytes_that_are_no_request_are_told_to_be_none_of_this_method(method):
    async def scene():
        async with Scene(service("m", Version())) as served:
            return await served.refused(method, b"\xff\xff")

    code, text = run(scene())
    assert code == "INVALID_ARGUMENT" and REQUESTS[method] in text


def test_bytes_that_are_no_message_are_the_clients_mistake():
    code, text = refusal(b"\xff\xff\xff", service("m", Version()))
    assert code == "INVALID_ARGUMENT" and "3 bytes" in text


def test_a_name_that_is_no_text_is_the_clients_mistake():
    assert refusal(b"\x0a\x03\x0a\x01\xff", service("m", Version()))[0] == "INVALID_ARGUMENT"


def test_versions_and_labels_are_found_and_a_name_may_be_long():
    long = "n" * 200
    one, two = Version(1, b""), Version(2, b"")
    model = service(long, one, two)
    model.labels = {"stable": 1}

    async def scene():
        async with Scene(model) as served:
            for asked in ({}, {"version": 1}, {"label": "stable"}, {"version": 2}):
                answer = await served.call("Predict", predict(long, **asked))
                yield parsed("PredictResponse", answer).model_spec.version.value

    async def collected():
        return [number async for number in scene()]

    assert run(collected()) == [2, 1, 1, 2]


def test_long_names_of_signatures_that_are_not_there_are_not_kept():
    routes = Routes({"m": service("m", Version())}, Metrics(list, dict))
    for name in ("s", "s" * 1_000_000):
        assert routes.route_of("Predict", Spec("m", None, None, name), None).spec.signature == name
    assert [spec.signature for _, spec in routes._routes] == ["s"]


def test_fields_in_another_order_are_understood():
    whole = predict()
    spec = serving.message("PredictRequest")(model_spec=whole.model_spec).SerializeToString()
    whole.ClearField("model_spec")
    version = Version(1, b"")

    async def scene():
        async with Scene(service("m", version)) as served:
            await served.call("Predict", whole.SerializeToString() + spec)

    run(scene())
    assert len(version.calls) == 1


def test_a_version_that_took_over_answers_the_next_request_with_the_same_spec():
    async def scene():
        model = service("m", Version(1, b""))
        async with Scene(model) as served:
            first = await served.call("Predict", predict())
            model.versions[2] = Version(2, b"")
            model._choose()
            second = await served.call("Predict", predict())
            model.versions[2].lifecycle.move(State.DRAINING)
            del model.versions[1]
            model._choose()
            gone = await served.refused("Predict", predict())
            del served.services["m"]
            return first, second, gone, await served.refused("Predict", predict())

    first, second, draining, gone = run(scene())
    assert [parsed("PredictResponse", one).model_spec.version.value for one in (first, second)] == [
        1, 2,
    ]  # fmt: skip
    assert draining == gone == ("NOT_FOUND", NONE + "Latest(m)")


@pytest.mark.parametrize("code", list(Code)[1:])
def test_every_code_has_a_status_and_keeps_its_text(code):
    told = refusal(predict(), service("m", Version(answer=(code, "why – so"))))
    assert told == (status(code).name, "why – so")


def test_codes_of_our_own_become_what_clients_retry_or_do_not():
    assert status(Code.QUEUE_FULL) is status(Code.WORKER_LOST) is Code.UNAVAILABLE
    assert status(Code.RATE_LIMITED) is Code.RESOURCE_EXHAUSTED
    assert refusal(predict(), service("m", Version(answer=(77, "odd")))) == ("UNKNOWN", "odd")


@pytest.mark.parametrize(("size", "told"), [(512, 512), (513, 512), (9999, 512)])
def test_a_long_text_is_cut_where_the_peer_cuts_it(size, told):
    _, text = refusal(predict(), service("m", Version(answer=(Code.INTERNAL, "ü" * size))))
    assert text == "ü" * told + ("...TRUNCATED" if size > told else "")


def test_a_fault_of_ours_is_internal_and_the_next_request_is_answered():
    class Faulty(Version):
        def submit(self, call):
            if self.calls:
                return super().submit(call)
            self.calls.append(call)
            raise RuntimeError("a fault")

    async def scene():
        async with Scene(service("m", Faulty(1, b""))) as served:
            told = await served.refused("Predict", predict())
            await served.call("Predict", predict())
            return told, served.counted()

    told, counted = run(scene())
    assert told[0] == "INTERNAL" and "a fault" not in told[1]
    assert counted[("m", "1", "Predict", "serving_default", "INTERNAL")] == 1


def test_each_request_is_told_to_whoever_watches():
    seen = []
    metadata = (("x-request-id", "r1"), ("traceparent", "00-a"))

    async def scene():
        model = service("m", Version(5, b"1234"))
        async with Scene(model, watchers=(seen.append,)) as served:
            await served.call("Predict", predict(), metadata=metadata)
            await served.refused("Predict", predict("z"))

    run(scene())
    one, other = seen
    assert one.method == "gRPC" and one.path == f"/{fakes.PREDICTION}/Predict"
    assert (one.status, other.status) == ("OK", "NOT_FOUND")
    assert (one.service, one.version, one.dialect) == ("m", "5", "grpc")
    assert (one.request_id, one.traceparent, one.client) == ("r1", "00-a", "127.0.0.1")
    assert one.bytes_in == len(predict().SerializeToString()) and one.bytes_out > 4
    assert one.run_us == 70 and one.ended_s >= one.started_s


def test_the_method_name_is_checked_only_if_that_is_wanted():
    odd = signature_map({"x": 1}, {"y": 1}, method="my/own")

    async def scene(**options):
        async with Scene(service("m", Version(1, b"", odd)), **options) as served:
            await served.call("Predict", predict())

    run(scene())
    with pytest.raises(grpc.aio.AioRpcError, match="Was: my/own"):
        run(scene(check_methods=True))


def test_a_large_request_is_shared_with_the_worker_and_its_room_is_given_back():
    bodies, version = Bodies(4 << 20), Version(1, b"")
    large = predict().SerializeToString() + b"\x7a\x80\x80\x40" + bytes(1 << 20)

    async def scene():
        async with Scene(service("m", version), bodies=bodies) as served:
            for sent in (large, predict().SerializeToString(), large):
                await served.call("Predict", sent)
                assert bytes(version.calls[-1].body) == sent
                shared = type(version.calls[-1].body) is SharedBody
                assert shared is (sent is large)
                version.calls.clear()

    run(scene())
    assert bodies.borrow(1 << 20) is not None


@pytest.mark.parametrize(
    ("peer", "address"),
    [(("10.0.0.1", 4711), "10.0.0.1"), (("::ffff:10.0.0.1", 1, 0, 0), "10.0.0.1"),
     (("::1", 4711, 0, 0), "::1"), ("", ""), (None, "")],
)  # fmt: skip
def test_a_clients_address_is_told_as_http_tells_it(peer, address):
    context = Context(Head(b"POST", b"/", (), None), {"peername": peer}.get, None)
    assert context.client_address() == address
