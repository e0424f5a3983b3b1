"""TensorFlow Serving's dialects as a `Serving` describes them: the same in every process of a host.

What process 1 can do beside, it adds by itself.
"""

from __future__ import annotations

from eas_processor.api.rest import RestOptions
from eas_processor.api.rest_calls import RequestLog
from eas_processor.fronts.messages import Grpc, Serving
from eas_processor.observe.exchange import Watcher
from eas_processor.pool.bodies import Bodies
from eas_processor.rpc import tfserving
from eas_processor.rpc.server import Endpoint, Tls


def rest_options(serving: Serving, request_log: RequestLog | None = None) -> RestOptions:
    """Of REST's inference."""
    return RestOptions(
        token=serving.token,
        cors=serving.cors,
        check_methods=serving.check_methods,
        request_log=request_log,
    )


def endpoint(address: str, grpc: Grpc, shared: bool) -> Endpoint:
    """Where gRPC is spoken. shared: by other processes of the host, too."""
    return Endpoint(
        host=address,
        port=grpc.port,
        tls=Tls(*grpc.pem) if grpc.pem else None,
        settings=grpc.settings,
        shared=shared,
    )


def grpc_options(
    serving: Serving,
    grpc: Grpc,
    bodies: Bodies,
    watchers: tuple[Watcher, ...],
    request_log: RequestLog | None = None,
) -> tfserving.Options:
    """Of gRPC's inference, and of its health service."""
    return tfserving.Options(
        check_methods=serving.check_methods,
        as_tensor_content=grpc.as_tensor_content,
        timeout_s=grpc.timeout_s,
        bodies=bodies,
        request_log=request_log,
        health=grpc.health,
        token=serving.token or None,
        watchers=watchers,
    )
