"""TensorFlowProcessor: one model behind EAS's PredictRequest and TensorFlow Serving's (read this
first).

    process, predict:  Dialect.answer: read → run → encode
    many:              Dialect.decode of each → Joiner.run of all → Job.encode of each

A dialect is a wire (messages), codecs (values), and rules (which names mean which tensors). Calls
of both dialects that feed and fetch the same tensors have the same `run`, so they can be joined.
"""

import contextlib
import sys

import google.protobuf
import numpy as np

from eas_processor.errors import Code, ServingError
from eas_processor.worker.frames import TENSOR_CONTENT, Kind
from eas_processor.worker.processor import Answer, Processor

from . import describe, device, options, serving_tensors, serving_wire, tensors, wire
from .dialect import Dialect, ServingDialect
from .find import find
from .join import Joiner
from .serving_rules import served
from .signatures import hint, listed, short

ALIKE_BYTES_MAX = 1 << 16  # larger ones gain nothing, and want memory that is aligned
PREDICT = int(Kind.PREDICT)


class TensorFlowProcessor(Processor):
    """Serves one model with the TensorFlow of this interpreter."""

    takes_views = True

    def initialize(self, model_dir, config):
        """Find the model, ready the device, load. See `Processor.initialize`."""
        chosen = options.read(config.get("options") or {})
        serving = options.serving(config.get("serving") or {})
        found = find(model_dir, config.get("model_entry") or "", serving.prefer_tflite)
        if config.get("model_config"):
            self.notes.append("model_config is not used by the TensorFlow processor")
        with_gpus = device.prepare(config, chosen, self.notes.append)
        api = device.import_tensorflow(config)
        from . import engine, profiler  # they import TensorFlow, which is ready now

        self._tensorflow_version = api.VERSION
        self._recorder = profiler.Recorder()
        started = engine.start(found, config, chosen, serving, with_gpus, self.notes.append)
        self.threads_max = started.threads_max
        self.may_not_end = started.may_not_end
        self._runner = started.runner
        self._signatures = started.signatures
        self._default = started.default
        self._signature_map = started.signature_map
        self._make_dialects(lambda number: api.tf.as_dtype(number).as_numpy_dtype)
        batching = config.get("batching")
        self.joins = bool(batching)
        self._joiner = Joiner(batching, _log) if batching else None
        self._is_bounded = bool(batching) and batching.get("rows_max") is not None

    def _make_dialects(self, as_numpy_dtype):
        eas = Dialect(wire, tensors.codecs(as_numpy_dtype), self._signature, self._runner)
        # A frozen graph has no signatures: whatever the name, the graph is asked.
        rules = served(self._signatures) if self._signatures else self._signature
        typed, content = [
            ServingDialect(
                serving_wire,
                serving_tensors.codecs(as_numpy_dtype, as_content),
                rules,
                self._runner,
            )
            for as_content in (False, True)
        ]
        self._eas = eas
        self._serving = (typed, content)
        # Let TensorFlow optimise now what most requests will ask for.
        with contextlib.suppress(ServingError):  # a request for what cannot be had will be told
            eas.plan("", tuple(sorted(self._default.inputs)), ())

    def process(self, request):
        """A PredictRequest of EAS in, a PredictResponse out."""
        return self._alone(self._eas, request)

    def predict(self, request, flags):
        """A PredictRequest of TensorFlow Serving in, a PredictResponse out."""
        return self._alone(self._serving[flags & TENSOR_CONTENT], request)

    def _alone(self, dialect, request):
        """The answer to a call that nothing waits with; how many rows may run is bounded here, too:
        whether it is refused must not depend on what comes at the same time."""
        if not self._is_bounded:
            return dialect.answer(request)
        job = dialect.decode(request)
        self._joiner.run([job])
        if job.error is not None:
            raise job.failure(job.error)
        return job.encode(job.results)

    def decode(self, kind, payload, flags):
        """The Job of one call. Raises ServingError."""
        return self._dialect(kind, flags).decode(payload)

    def _dialect(self, kind, flags):
        return self._serving[flags & TENSOR_CONTENT] if kind == PREDICT else self._eas

    def many(self, calls):
        """Answers of both dialects' calls, joined where that is possible, see `join`."""
        answers = self._alike(calls)
        if answers is not None:
            return answers
        outcomes = [self._decoded(*call) for call in calls]
        self._joiner.run([job for job in outcomes if not isinstance(job, Exception)])
        return [self._answered(job) for job in outcomes]

    def _alike(self, calls):
        """The answers of calls that differ in nothing but their numbers, read and written all at
        once; None where that cannot be done."""
        kind, first, flags = calls[0]
        layout = self._dialect(kind, flags).layout(first)
        size = len(first)
        if layout is None or size > ALIKE_BYTES_MAX:
            return None
        requests = [p for k, p, f in calls if k == kind and f == flags and len(p) == size]
        if len(requests) < len(calls):
            return None
        arrays = layout.joined(requests)
        if arrays is None:
            return None
        are_equal = requests.count(first) == len(requests)
        outputs = self._joiner.outputs(layout.plan.run, arrays, are_equal)
        return None if outputs is None else layout.plan.encode_each(outputs, len(calls))

    def _decoded(self, kind, payload, flags):
        try:
            return self.decode(kind, payload, flags)
        except Exception as error:
            return error

    @staticmethod
    def _answered(job):
        if isinstance(job, Exception):
            return job
        if job.error is not None:
            return job.failure(job.error)
        try:
            return job.encode(job.results)
        except Exception as error:
            return error

    def _signature(self, name):
        if not name or not self._signatures:
            return self._default
        found = self._signatures.get(name)
        if found is None:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                "the model has no signature '%s'%s; it has %s"
                % (short(name), hint(name, self._signatures), listed(self._signatures)),
            )
        return found

    def describe(self, signature):
        """The JSON of a signature: "" for the default one, "*" for all by name."""
        if not self._signatures:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                "this model has no signatures to describe: it holds a graph only. Predict with"
                " tensor names as inputs and in output_filter; " + self._default.how_to_ask(),
            )
        if signature == "*":
            return Answer.json({n: describe.signature(s) for n, s in self._signatures.items()})
        return Answer.json(describe.signature(self._signature(signature)))

    def signatures(self):
        """The serialised SignatureDefMap of the model's file; nothing for a frozen graph."""
        return self._signature_map

    def profile(self, levels):
        """See `Processor.profile`; 2.x only."""
        if levels is None:
            return self._recorder.end()
        self._recorder.begin(levels)
        return b""

    def versions(self):
        """TensorFlow's, numpy's and protobuf's."""
        return {
            "tensorflow": self._tensorflow_version,
            "numpy": np.__version__,
            "protobuf": google.protobuf.__version__,
        }


def _log(line):
    """To the worker's log: what is found out while serving comes too late for `notes`."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
