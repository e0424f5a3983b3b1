"""Traces: three spans for a request, sent by OTLP over HTTP. Off unless an endpoint is named.

The spans are made when a request is over, from the times that were taken anyway, so nothing has to
be carried along. The only importer of opentelemetry, which is the extra `otel`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import structlog

import eas_processor
from eas_processor.errors import ConfigError
from eas_processor.observe.exchange import Exchange, trace_context

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
TRACES_PATH = "/v1/traces"
SERVICE_NAME = "eas-processor"
CLOSE_TIMEOUT_S = 5.0
SERVER_ERROR = 500
GRPC_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)

log = structlog.get_logger("traces")


def configure(endpoint: str = "") -> Tracer | None:
    """What records traces, or None if they are not wanted.

    endpoint: e.g. http://127.0.0.1:4318; if empty, that of OTEL_EXPORTER_OTLP_ENDPOINT. The other
    OTEL_ variables (headers, sampler, resource, batches) hold as well. Raises ConfigError if the
    extra is not installed.
    """
    if not endpoint and not any(os.environ.get(name) for name in ENDPOINT_VARIABLES):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError(
            "traces need OpenTelemetry, which is not installed: pip install eas-processor[otel]"
        ) from None
    sender = logging.getLogger("opentelemetry")
    sender.handlers = [_ToLog()]
    sender.propagate = False
    address = endpoint.rstrip("/") + TRACES_PATH if endpoint else None
    return Tracer(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))


class Tracer:
    """Turns exchanges into spans and gives them to `processor`, which sends them in a thread."""

    def __init__(self, processor: SpanProcessor) -> None:
        from opentelemetry.trace import SpanKind

        self._server = SpanKind.SERVER
        self._provider = _provider(processor)
        self._tracer = self._provider.get_tracer("eas_processor", eas_processor.__version__)

    def record(self, exchange: Exchange) -> None:
        """The spans of one request: the whole of it and, if it ran, its wait and its run."""
        from opentelemetry.trace import set_span_in_context

        epoch_ns = time.time_ns() - time.monotonic_ns()  # the clock may have been set

        def ns(monotonic_s: float) -> int:
            return epoch_ns + int(monotonic_s * 1e9)

        start_ns, end_ns = ns(exchange.started_s), ns(exchange.ended_s)
        span = self._tracer.start_span(
            _name(exchange),
            context=_parent(exchange.traceparent),
            kind=self._server,
            attributes=_attributes(exchange),
            start_time=start_ns,
        )
        if span.is_recording():
            _set_status(span, exchange)
            # The answer left as soon as it had come, so the run lies at the end; the wait before.
            run_ns = min(exchange.run_us * 1000, end_ns - start_ns)
            queue_ns = min(int(exchange.queue_s * 1e9), end_ns - start_ns - run_ns)
            inside = set_span_in_context(span)
            if queue_ns:
                queue_end_ns = end_ns - run_ns
                self._part("queue", inside, queue_end_ns - queue_ns, queue_end_ns)
            if run_ns:
                self._part("run", inside, end_ns - run_ns, end_ns)
        span.end(end_ns)

    def close(self) -> None:
        """Send what is left, for at most CLOSE_TIMEOUT_S; not for the event loop."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(CLOSE_TIMEOUT_S)

    def _part(self, name: str, inside: Context, start_ns: int, end_ns: int) -> None:
        self._tracer.start_span(name, context=inside, start_time=start_ns).end(end_ns)


class _ToLog(logging.Handler):
    """What OpenTelemetry has to say, e.g. that the collector is not there, in our own log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Its words alone."""
        log.warning(record.getMessage())


def _provider(processor: SpanProcessor) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    ours = {"service.version": eas_processor.__version__}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        ours["service.name"] = SERVICE_NAME
    provider = TracerProvider(resource=Resource.create(ours), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider


def _parent(traceparent: str) -> Context | None:
    """The caller's span, as OpenTelemetry wants it."""
    from opentelemetry.context import Context
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        set_span_in_context,
    )

    caller = trace_context(traceparent)
    if caller is None:
        return Context()  # a trace of its own, whatever else this thread may be part of
    span = SpanContext(
        int(caller.trace_id, 16),
        int(caller.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(caller.sampled)),
    )
    return set_span_in_context(NonRecordingSpan(span), Context())


def _name(exchange: Exchange) -> str:
    """Few different ones: paths are for attributes."""
    if exchange.method == "gRPC":
        return exchange.path.lstrip("/")
    return f"{exchange.method} {exchange.service}".rstrip()


def _attributes(exchange: Exchange) -> dict[str, str | int]:
    """OpenTelemetry's names where it has some."""
    path = exchange.path.partition("?")[0]
    found: dict[str, str | int] = {
        "client.address": exchange.client,
        "eas.service": exchange.service,
        "eas.version": exchange.version,
        "eas.dialect": exchange.dialect,
        "eas.request_id": exchange.request_id,
    }
    if exchange.method == "gRPC":
        found.update({"rpc.system": "grpc", "rpc.method": path.lstrip("/")})
        found["rpc.response.status_code"] = exchange.status
    else:
        found.update({"http.request.method": exchange.method, "url.path": path})
        found["http.response.status_code"] = exchange.status
        found["http.request.body.size"] = exchange.bytes_in
        found["http.response.body.size"] = exchange.bytes_out
    return {name: value for name, value in found.items() if value != ""}


def _set_status(span: Any, exchange: Exchange) -> None:
    """A server's span is in error if the server was at fault, not if the client was."""
    from opentelemetry.trace import StatusCode

    status = exchange.status
    at_fault = status in GRPC_FAULTS if isinstance(status, str) else status >= SERVER_ERROR
    if at_fault:
        span.set_status(StatusCode.ERROR)
