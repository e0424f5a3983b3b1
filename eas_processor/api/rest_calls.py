"""REST's predict, classify and regress: JSON (or bytes) in, a call, JSON (or bytes) out.

    Inference.run → codec → RestCall → Service.submit → … → RestCall.reply → codec → answer

What is large is translated in a thread: no sooner, but the others need not wait for it. Measured,
the longest pause of the event loop: 3 MB of JSON 8 ms instead of 43, an answer of 150 000 floats
6 ms instead of 112, a large body with a mistake, which Python then reads, 0.1 s instead of 11.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

import structlog

from eas_processor.api.http_call import HttpCall
from eas_processor.api.rest_answers import Answers, internal, malformed
from eas_processor.api.rest_paths import Which
from eas_processor.codec import binary, rest, serving, signatures
from eas_processor.codec.signatures import Asked, Signatures
from eas_processor.errors import TOO_LATE, Code, ServingError
from eas_processor.http.messages import BINARY, JSON, Headers, Request
from eas_processor.observe.series import Series
from eas_processor.pool.call import Answer
from eas_processor.serving.lifecycle import State
from eas_processor.serving.service import Service
from eas_processor.serving.version import Version
from eas_processor.worker.frames import TENSOR_CONTENT, Kind

INLINE_BYTES_MAX = 128 * 1024  # of a body or an answer; more is translated in a thread
THREADS = 2
PREDICT = int(Kind.PREDICT)
CONTENT_TYPES = {name: name.encode() for name in binary.TYPES} | {binary.RAW: BINARY}
TENSOR_HEADER = "x-tensor-"  # and the name of one of the fields of binary.Ask

# (model, version, method, serialised PredictRequest, serialised outputs of its PredictResponse)
RequestLog = Callable[[str, int, str, bytes, bytes], None]

T = TypeVar("T")

log = structlog.get_logger("rest")

_threads = ThreadPoolExecutor(THREADS, "rest")
_model_spec = functools.lru_cache(maxsize=256)(serving.model_spec_field)  # of known signatures


class Written(NamedTuple):
    """An answer, ready to be sent."""

    body: bytes
    content_type: bytes = JSON
    headers: Headers = ()


class Wishes(NamedTuple):
    """What the head of a request says of the form of its body and of its answer.

    of: who read it out. ask: how to read a body that is not JSON; None if it is. accepts: one of
    binary.TYPES for the answer; None for JSON.
    """

    of: Inference
    ask: binary.Ask | None
    accepts: str | None


class Inference:
    """One of predict, classify and regress, of one path. Raises and answers in the peer's words.

    query: of the target; it may describe a body that is not JSON. check_methods: hold a signature's
    own method against this one. request_log: told of each run that went well.
    """

    def __init__(
        self,
        answers: Answers,
        service: Service,
        which: Which,
        method: str,
        query: dict[str, str],
        check_methods: bool = False,
    ) -> None:
        self.answers = answers
        self.service = service
        self.method = method
        self.request_log: RequestLog | None = None
        self._which = which
        self._query = query
        self._check_methods = check_methods
        self._series: dict[tuple[int, str], Series] = {}

    def run(self, request: Request) -> None:
        """Answer a request, now or later. Raises ServingError for one that becomes no call."""
        wishes = request.head.memo
        if wishes is None or wishes.of is not self:
            wishes = request.head.memo = self._wishes(request)
        ask = wishes.ask
        if self._query and ask is None:
            raise malformed(request)
        version = self.service.find(self._which.number(), self._which.label)
        if not version.signatures:
            words = f"{self.service.name} has no signatures: ask for /api/predict/… instead"
            raise ServingError(Code.UNIMPLEMENTED, words)
        known = signatures.read(version.signatures)
        if len(request.body) <= INLINE_BYTES_MAX:
            self._submit(request, version, self._read(request.body, ask, known))
            return

        def read() -> Asked | None:
            if request.gone:
                return None
            if time.monotonic() > request.deadline_s:
                raise ServingError(Code.DEADLINE_EXCEEDED, TOO_LATE)
            return self._read(request.body, ask, known)

        in_thread(read, partial(self._submit_later, request, version))

    def series(self, number: int, signature: str) -> Series:
        """Where requests to a version's signature are counted."""
        series = self._series.get((number, signature))
        if series is None:
            series = self.answers.series(self.service.name, str(number), self.method, signature)
            self._series[number, signature] = series
        return series

    def _wishes(self, request: Request) -> Wishes:
        accept = request.header(b"accept") if self.method == "predict" else None
        accepts = binary.accepted(accept.decode("latin-1")) if accept else None
        return Wishes(self, self._ask(request), accepts)

    def _ask(self, request: Request) -> binary.Ask | None:
        """See Wishes.

        Bytes alone, of no known shape, are taken for JSON: some clients call everything that.
        """
        if self.method != "predict":
            return None
        sent = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
        media = sent.decode("latin-1")
        if media not in CONTENT_TYPES:
            return None

        def said(name: str) -> str:
            header = TENSOR_HEADER + name.replace("_", "-")
            value = request.header(header.encode())
            return self._query.get(name, "") if value is None else value.decode("latin-1")

        if media == binary.RAW and not said("shape"):
            return None
        return binary.Ask(
            content_type=media,
            signature=said("signature_name"),
            input=said("input"),
            dtype=said("dtype"),
            shape=said("shape"),
            output_filter=tuple(filter(None, said("output_filter").split(","))),
        )

    def _read(self, body: bytes, ask: binary.Ask | None, known: Signatures) -> Asked:
        if self.method == "predict":
            asked = (
                rest.predict_request(body, known)
                if ask is None
                else binary.predict_request(body, ask, known)
            )
            if self._check_methods:
                signatures.check_predict(known, asked.signature)
            return asked
        if self.method == "classify":
            return rest.classify_request(body, known, self._check_methods)
        return rest.regress_request(body, known, self._check_methods)

    def _submit_later(
        self, request: Request, version: Version, asked: Asked | ServingError | None
    ) -> None:
        try:
            if isinstance(asked, ServingError):
                raise asked
            if request.gone or asked is None:
                raise ServingError(Code.CANCELLED, "the client left")
            if version.lifecycle.state is not State.READY:  # it may be about to end
                version = self.service.find(self._which.number(), self._which.label)
        except ServingError as error:
            self.answers.fail(request, self.series(version.number, ""), error)
        else:
            self._submit(request, version, asked)

    def _submit(self, request: Request, version: Version, asked: Asked) -> None:
        series = self.series(version.number, asked.signature)
        if self.method != "predict" and asked.rows is not None:
            series.examples(asked.rows)
        call = RestCall(self, request, series, version.number, asked)
        request.waiter = call
        self.service.submit(call, version)


class RestCall(HttpCall):
    """A call that is answered as TensorFlow Serving does."""

    def __init__(
        self, inference: Inference, request: Request, series: Series, number: int, asked: Asked
    ) -> None:
        service = inference.service
        super().__init__(PREDICT, asked.request, request, series, service, TENSOR_CONTENT)
        self._inference = inference
        self._number = number
        self._asked = asked

    def reply(self, answer: Answer) -> None:
        """Translate the outputs, or pass the error on."""
        if answer.code != Code.OK:
            words = answer.body.decode("utf-8", "replace")
            self._refuse(answer, answer.code, words)
            return
        inference = self._inference
        if inference.request_log is not None:
            name = inference.service.name
            asked = self._asked.request
            inference.request_log(name, self._number, inference.method, asked, answer.body)
        write = partial(self._write, answer.body)
        if len(answer.body) <= INLINE_BYTES_MAX:
            self._send(answer, attempt(write))
        else:
            in_thread(write, partial(self._send, answer))

    def _send(self, answer: Answer, written: Written | ServingError) -> None:
        if isinstance(written, ServingError):
            self._refuse(answer, written.code, written.message)
            return
        body, content_type, headers = written
        self._observe(Code.OK, answer.run_us, answer.batch)
        headers = (*headers, self._version_header())
        self._inference.answers.send(self._request, body, content_type, headers)

    def _refuse(self, answer: Answer, code: int, words: str) -> None:
        self._observe(code, answer.run_us, answer.batch)
        self._inference.answers.refuse(self._request, code, words, (self._version_header(),))

    def _version_header(self) -> tuple[bytes, bytes]:
        return b"X-Model-Version", b"%d" % self._number

    def _write(self, outputs: bytes) -> Written:
        """The answer as its client wants it. Raises ServingError for what cannot be told so."""
        method, asked = self._inference.method, self._asked
        if method == "classify":
            return Written(rest.classify_answer(outputs, asked.rows or 0))
        if method == "regress":
            return Written(rest.regress_answer(outputs, asked.rows or 0))
        media = self._request.head.memo.accepts
        if media is None:
            return Written(rest.predict_answer(outputs, asked.row))
        if media == binary.PROTOBUF:
            name = self._inference.service.name
            outputs += _model_spec(name, self._number, asked.signature)
        media, body, headers = binary.predict_answer(outputs, media)
        sent = tuple((name.title().encode(), text.encode()) for name, text in headers.items())
        return Written(body, CONTENT_TYPES[media], sent)


def attempt(work: Callable[[], T]) -> T | ServingError:
    """What the work gives, or what is to be said of why it gives nothing."""
    try:
        return work()
    except ServingError as error:
        return error
    except Exception:
        log.exception("translation failed")
        return internal()


def in_thread(work: Callable[[], T], then: Callable[[T | ServingError], None]) -> None:
    """Do it beside the event loop; then, on it, `then`."""
    done = asyncio.get_running_loop().run_in_executor(_threads, attempt, work)
    done.add_done_callback(lambda future: then(future.result()))
