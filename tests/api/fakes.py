"""Services without workers, and one connection to a host of them."""

from eas_processor.api.discovery import DiscoveryApi
from eas_processor.api.eas import EasApi
from eas_processor.api.ops import OpsApi
from eas_processor.config import Limits
from eas_processor.http.connections import Connections
from eas_processor.http.router import Router
from eas_processor.observe.metrics import Metrics
from eas_processor.pool.bodies import Bodies
from tests.http.fakes import connect


class Service:
    """Keeps its calls; has the face of serving.Service that dialects see."""

    def __init__(self, name="svc", token=None, decompressor=""):
        self.name = name
        self.token = token
        self.decompressor = decompressor
        self.request_timeout_s = 5.0
        self.current = None
        self.ready = True
        self.calls = []
        self.left = []
        self.versions = []

    def submit(self, call):
        self.calls.append(call)

    def abandoned(self, call):
        self.left.append(call)

    def report(self):
        state = "ready" if self.ready else "loading"
        return {"name": self.name, "ready": self.ready, "state": state, "reason": "",
                "processor": "p", "labels": {}, "versions": self.versions}  # fmt: skip


class Host:
    """The router of a host with these services, and what it has counted and told."""

    def __init__(self, *services, limits=None):
        self.limits = limits or Limits()
        self.services = {service.name: service for service in services}
        self.metrics = Metrics(lambda: [], lambda: {})
        self.stopping = False
        self.told = []
        self.connections = Connections((self.told.append,))
        self.router = Router(
            [
                EasApi(self.services, self.metrics, Bodies(self.limits.shared_bytes_max)).resolve,
                OpsApi(self.services, self.metrics.page, lambda: self.stopping).resolve,
                DiscoveryApi(self.services).resolve,
            ],
            lambda request: request.respond(404, b"nothing here\n"),
            self.limits,
        )

    def connect(self):
        """(protocol, transport) of a new connection."""
        protocol, transport, _ = connect(self.router, self.limits, self.connections)
        return protocol, transport

    def counted(self):
        """{(service, code): how many} of all that was answered."""
        return {
            (series.key.service, int(code)): sum(times.counts)
            for series in self.metrics.all_series()
            for code, times in series.whole.items()
        }
