"""What the official Python SDK does on the wire, measured: the facts that the server is built on.

Should a newer SDK break one of these, the server's contract has changed, and `docs/sdk.md` with it.
"""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from recording_server import SILENT, Recording, Seen, floats, predict_response, recording
from sdk_environment import Sdk

SCORES = (200, predict_response("scores", 1, [1, 2], floats(0.25, 0.75)))
FEED = '{"signature": "s", "feeds": {"x": {"dtype": "DT_FLOAT", "shape": [1], "values": [2]}}}'


def outcome(sdk: Sdk, script: str, *args: object) -> dict[str, Any]:
    """Run a client; the JSON that it printed."""
    done = sdk.run(script, *args)
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def feed(sdk: Sdk, server: Recording, service: str = "svc", told: str = FEED) -> dict[str, Any]:
    """Call `service` of the recording server without a token."""
    return outcome(sdk, "feed.py", server.endpoint, "", service, told)


def signature(seen: Seen, token: str) -> str:
    """The Authorization that EAS's rule gives for what arrived."""
    names = ("Content-MD5", "Content-Type", "Date")
    text = "\n".join(["POST", *(seen.headers[name] for name in names), seen.path])
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return "EAS " + base64.b64encode(digest).decode()


def test_the_snippet_of_the_manual_posts_its_image_and_prints_the_scores(sdk: Sdk) -> None:
    with recording(SCORES) as server:
        done = sdk.run("seed_snippet.py", server.endpoint, "secret", 2)
    assert done.returncode == 0, done.stderr
    assert [seen.path for seen in server.seen] == ["/api/predict/mnist_saved_model_example"] * 2
    assert server.seen[0].body.endswith(b"\x00\x00\x80\x3f" * 784)
    assert done.stdout.count("float_val: 0.75") == 2


def test_without_a_token_no_headers_are_sent_but_the_four_of_http(sdk: Sdk) -> None:
    with recording(SCORES) as server:
        assert feed(sdk, server)["code"] == 200
    names = {name.lower() for name in server.seen[0].headers}
    assert names == {"host", "accept-encoding", "content-length", "user-agent"}


@pytest.mark.parametrize("service", ["svc", "svc/model1", "svc/model1/"])
def test_the_signature_covers_the_path_as_it_is_sent(sdk: Sdk, service: str) -> None:
    with recording(SCORES) as server:
        outcome(sdk, "auth.py", server.endpoint, "s3cret", service, "--content-type", "text/x")
    (seen,) = server.seen
    assert seen.path == "/api/predict/" + service
    assert seen.headers["Content-Type"] == "text/x"
    assert seen.headers["Content-MD5"] == hashlib.md5(seen.body).hexdigest()
    assert seen.headers["Authorization"] == signature(seen, "s3cret")


def test_given_the_whole_url_the_sdk_sends_the_token_as_it_is(sdk: Sdk) -> None:
    with recording(SCORES) as server:
        outcome(sdk, "auth.py", server.endpoint, "s3cret", "svc", "--raw")
    assert server.seen[0].path == "/api/predict/svc"
    assert server.seen[0].headers["Authorization"] == "s3cret"
    assert "Content-MD5" not in server.seen[0].headers


def test_a_whole_url_as_endpoint_doubles_the_path(sdk: Sdk) -> None:
    with recording((404, b"no such service")) as server:
        whole = server.endpoint + "/api/predict/svc/"
        told = outcome(sdk, "feed.py", whole, "", "svc", FEED)
    assert server.seen[0].path == "/api/predict/svc/api/predict/svc"
    assert (told["code"], told["body"]) == (404, "no such service")


def test_an_https_endpoint_can_not_be_reached(sdk: Sdk) -> None:
    with recording(SCORES) as server:
        https = server.endpoint.replace("http://", "https://")
        told = outcome(sdk, "feed.py", https, "", "svc", FEED)
    assert told["code"] == 500
    assert "https" in told["body"]
    assert server.seen == []


def test_given_the_whole_url_the_sdk_speaks_https(sdk: Sdk) -> None:
    with recording(SCORES) as server:
        https = server.endpoint.replace("http://", "https://")
        told = outcome(sdk, "auth.py", https, "s3cret", "svc", "--raw")
    assert told["code"] == 500
    assert "SSL" in told["body"]  # it spoke TLS to a server that does not


def test_a_request_made_without_a_signature_name_takes_no_feeds(sdk: Sdk) -> None:
    done = sdk.run("feed.py", "http://127.0.0.1", "", "svc", FEED.replace('"s"', "null"))
    assert done.returncode == 1
    assert "TypeError" in done.stderr


def test_feeding_a_name_twice_appends_to_its_shape_and_values(sdk: Sdk) -> None:
    def x(shape: list[int], values: list[int]) -> list[Any]:
        return ["x", {"dtype": "DT_FLOAT", "shape": shape, "values": values}]

    twice = {"signature": "s", "feeds": [x([1], [2]), x([1], [3])]}
    once = {"signature": "s", "feeds": [x([1, 1], [2, 3])]}
    with recording(SCORES) as server:
        feed(sdk, server, told=json.dumps(twice))
        feed(sdk, server, told=json.dumps(once))
    assert server.seen[0].body == server.seen[1].body


def test_a_request_without_feeds_is_an_empty_body_and_json_is_no_answer_to_it(sdk: Sdk) -> None:
    with recording((200, b'{"inputs": [], "outputs": [], "signature_name": "s"}')) as server:
        told = feed(sdk, server, told='{"signature": "s"}')
    assert server.seen[0].body == b""
    assert (told["code"], told["exception"]) == (None, "DecodeError")


@pytest.mark.parametrize(("status", "attempts"), [(500, 5), (503, 1), (408, 1), (450, 1), (400, 1)])
def test_only_the_status_500_is_tried_again(sdk: Sdk, status: int, attempts: int) -> None:
    with recording((status, b"words")) as server:
        told = outcome(sdk, "retries.py", server.endpoint, "")
    assert (told["code"], told["body"]) == (status, "words")
    assert told["attempts"] == len(server.seen) == attempts


def test_a_success_after_500_is_a_success(sdk: Sdk) -> None:
    with recording((500, b"words"), SCORES) as server:
        told = outcome(sdk, "retries.py", server.endpoint, "")
    assert (told["code"], told["statuses"]) == (200, [500, 200])


def test_the_timeout_bounds_each_attempt_not_the_call(sdk: Sdk) -> None:
    with recording((SILENT, b"")) as server:
        told = outcome(sdk, "retries.py", server.endpoint, "", "--timeout-ms", 200)
    assert (told["code"], told["statuses"]) == (500, [None] * 5)
    assert told["seconds"] >= 5 * 0.2


@pytest.mark.parametrize("status", [201, 204])
def test_any_other_status_of_success_is_a_failure(sdk: Sdk, status: int) -> None:
    with recording((status, SCORES[1] if status == 201 else b"")) as server:
        assert feed(sdk, server)["code"] == status


def test_a_redirect_is_five_failed_attempts(sdk: Sdk) -> None:
    with recording((307, b"")) as server:
        told = outcome(sdk, "retries.py", server.endpoint, "")
    assert (told["code"], len(server.seen)) == (500, 5)
    assert "too many redirects" in told["body"]


@pytest.mark.parametrize(("dtype", "name"), [(4, "DT_UINT8"), (17, "DT_UINT16"), (19, "DT_HALF")])
def test_outputs_of_some_dtypes_can_not_be_read(sdk: Sdk, dtype: int, name: str) -> None:
    with recording((200, predict_response("y", dtype, [2], (5, b"\x01\x02")))) as server:
        told = feed(sdk, server)
    assert told["outputs"]["y"] == {"dtype": name, "shape": [2], "values": None}


@pytest.mark.parametrize("dtype", ["DT_HALF", "DT_BFLOAT16", "DT_COMPLEX64"])
def test_inputs_of_some_dtypes_are_sent_without_their_values(sdk: Sdk, dtype: str) -> None:
    with_values = FEED.replace("DT_FLOAT", dtype)
    with recording(SCORES) as server:
        feed(sdk, server, told=with_values)
        feed(sdk, server, told=with_values.replace("[2]", "[]"))
    assert server.seen[0].body == server.seen[1].body
