"""`tensorflow.serving.PredictionService`: each method translates in, runs, translates out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from eas_processor.codec import examples, serving, signatures
from eas_processor.codec.signatures import Asked, Signatures
from eas_processor.errors import Code, ServingError
from eas_processor.pool.bodies import Bodies, SharedBody
from eas_processor.rpc.calls import Answering, Handler, Request
from eas_processor.rpc.dispatch import Methods, unary
from eas_processor.rpc.routes import Route, Routes, Spec, spec_of
from eas_processor.rpc.translation import translated
from eas_processor.serving.lifecycle import State
from eas_processor.worker.frames import TENSOR_CONTENT

NAME = "tensorflow.serving.PredictionService"
SIGNATURE_DEF = "signature_def"
NOBODY = Spec("", None, None, "")

# (model, version, method, serialised request, serialised response)
RequestLog = Callable[[str, int, str, bytes, bytes], None]

ReadExamples = Callable[[bytes, Signatures, bool], Asked]
WriteAnswer = Callable[[bytes, int], bytes]

T = TypeVar("T")


class PredictionService:
    """check_methods: hold a signature's method name against the method that is called.

    as_tensor_content: answer Predict in `tensor_content` instead of typed fields. timeout_s: for
    calls without a deadline; None: the service's own. bodies: where large requests are shared with
    the workers; None: all cross the wall. request_log: told of each call that went well.
    """

    def __init__(
        self,
        routes: Routes,
        check_methods: bool = False,
        as_tensor_content: bool = False,
        timeout_s: float | None = None,
        bodies: Bodies | None = None,
        request_log: RequestLog | None = None,
    ) -> None:
        self._routes = routes
        self._bodies = bodies
        self._check_methods = check_methods
        self._predict_flags = TENSOR_CONTENT if as_tensor_content else 0
        self._timeout_s = timeout_s
        self._request_log = request_log

    def methods(self, answering: Answering) -> Methods:
        """All methods, for a server."""
        methods = {
            "Predict": self._logged("Predict", self.predict),
            "Classify": self._logged("Classify", self.classify),
            "Regress": self._logged("Regress", self.regress),
            "MultiInference": self._logged("MultiInference", self.multi_inference),
            "GetModelMetadata": self.get_model_metadata,
        }
        return unary(NAME, {n: answering.method(NAME, n, method) for n, method in methods.items()})

    async def predict(self, request: Request) -> bytes:
        """PredictRequest → PredictResponse; the request crosses the wall as it came."""
        route = self._routes.route("Predict", request.body, request.context)
        request.goes_to(route)
        if self._check_methods:
            known = signatures.read(route.version.signatures)
            signatures.check_predict(known, route.spec.signature)
        answer = await request.run(self._shared(request.body), self._timeout_s, self._predict_flags)
        return answer + route.model_spec

    async def classify(self, request: Request) -> bytes:
        """ClassificationRequest → ClassificationResponse."""
        how = examples.classify_request, examples.classify_answer
        return await self._of_examples("Classify", request, *how)

    async def regress(self, request: Request) -> bytes:
        """RegressionRequest → RegressionResponse."""
        how = examples.regress_request, examples.regress_answer
        return await self._of_examples("Regress", request, *how)

    async def multi_inference(self, request: Request) -> bytes:
        """MultiInferenceRequest → MultiInferenceResponse: its tasks run side by side."""
        method, body = "MultiInference", request.body
        tasks = await self._read(request, partial(examples.multi_tasks, body))
        spec = spec_of(tasks[0]) if tasks else NOBODY
        route = self._routes.route_of(method, spec, request.context)
        request.goes_to(route)
        known = signatures.read(route.version.signatures)
        read = partial(examples.multi_request, body, known, self._check_methods)
        multi = await self._read(request, read)
        route = self._successor(method, request, route)
        request.series.examples(multi.asked[0].rows or 0)
        bodies = [asked.request for asked in multi.asked]
        answers = await request.run_all(bodies, self._timeout_s, TENSOR_CONTENT)
        number = route.version.number
        write = partial(examples.multi_answer, answers, multi, spec.name, number)
        return await translated(sum(map(len, answers)), write)

    async def get_model_metadata(self, request: Request) -> bytes:
        """GetModelMetadataRequest → GetModelMetadataResponse; knows `signature_def` alone."""
        asked = serving.parse("GetModelMetadataRequest", request.body)
        spec = spec_of(asked)
        self._routes.check(spec.name, request.context)
        if not asked.metadata_field:
            words = "GetModelMetadataRequest must specify at least one metadata_field"
            raise ServingError(Code.INVALID_ARGUMENT, words)
        for field in asked.metadata_field:
            if field != SIGNATURE_DEF:
                words = f"Metadata field {field} is not supported"
                raise ServingError(Code.INVALID_ARGUMENT, words)
        route = self._routes.route_of("GetModelMetadata", spec, request.context)
        request.goes_to(route)
        return _metadata(route.service.name, route.version.number, route.version.signatures)

    def _shared(self, body: bytes) -> bytes | SharedBody:
        """The body in memory that the worker sees, too, where that pays."""
        room = self._bodies.borrow(len(body)) if self._bodies is not None else None
        if room is None:
            return body
        room.write(body)
        return room

    def _logged(self, name: str, method: Handler) -> Handler:
        """The method, with what it answers told to the request log, if there is one."""
        request_log = self._request_log
        if request_log is None:
            return method

        async def answer(request: Request) -> bytes:
            response = await method(request)
            assert request.route is not None
            _, service, version, *_ = request.route
            request_log(service.name, version.number, name, request.body, response)
            return response

        return answer

    async def _of_examples(
        self, method: str, request: Request, read: ReadExamples, write: WriteAnswer
    ) -> bytes:
        route = self._routes.route(method, request.body, request.context)
        request.goes_to(route)
        known = signatures.read(route.version.signatures)
        asked = await self._read(request, partial(read, request.body, known, self._check_methods))
        route = self._successor(method, request, route)
        rows = asked.rows or 0
        request.series.examples(rows)
        answer = await request.run(asked.request, self._timeout_s, TENSOR_CONTENT)
        return await translated(len(answer), partial(write, answer, rows)) + route.model_spec

    async def _read(self, request: Request, read: Callable[[], T]) -> T:
        """The request's message, translated."""
        return await translated(len(request.body), read, request.deadline_s(self._timeout_s))

    def _successor(self, method: str, request: Request, route: Route) -> Route:
        """Where it goes after it was read: its version may be about to end. Raises ServingError."""
        if route.version.lifecycle.state is not State.READY:
            route = self._routes.route_of(method, route.spec, request.context)
            request.goes_to(route)
        return route


def _metadata(name: str, version: int, signature_def_map: bytes) -> bytes:
    answer: Any = serving.message("GetModelMetadataResponse")()
    answer.model_spec.name = name
    answer.model_spec.version.value = version
    packed = answer.metadata[SIGNATURE_DEF]
    packed.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    packed.value = signature_def_map
    serialised: bytes = answer.SerializeToString()
    return serialised
