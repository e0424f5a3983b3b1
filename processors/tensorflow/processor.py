"""TensorFlowProcessor: a SavedModel or frozen graph behind EAS's PredictRequest (read this first).

    process:  wire.parse → Plan.decode → Plan.run → Plan.encode
              (Layout.arrays instead of the first two, for a request like one before it)

What a request asks for (its signature, input names, output_filter) picks a Plan; clients ask for
the same few things again and again, so plans are kept.
"""

import contextlib
import threading

import google.protobuf
import numpy as np

from eas_processor.errors import Code, ServingError
from eas_processor.worker.processor import Answer, Processor

from . import describe, device, options, wire
from . import layout as layouts
from .find import find
from .plan import codecs
from .plan import make as make_plan
from .signatures import hint, listed, short
from .tensors import NeedsCanonical

PLANS_MAX = 128  # a client's choice of names must not fill the memory
LAYOUTS_MAX = 256
LAYOUT_TRIES_MAX = 16


class TensorFlowProcessor(Processor):
    """Serves one model with the TensorFlow of this interpreter."""

    def initialize(self, model_dir, config):
        """Find the model, ready the device, load. See `Processor.initialize`."""
        chosen = options.read(config.get("options") or {})
        found = find(model_dir, config.get("model_entry") or "")
        if config.get("model_config"):
            self.notes.append("model_config is not used by the TensorFlow processor")
        with_gpus = device.prepare(config, chosen, self.notes.append)
        api = device.import_tensorflow(config)
        from . import load, runner  # these import TensorFlow, which is ready now

        self._tensorflow_version = api.VERSION
        session_config = device.session_config(api.tf1, config, chosen, with_gpus)
        model = load.load(found, session_config, chosen.saved_model_tags)
        if with_gpus:
            device.check_gpu(model.session, config)
        if not with_gpus:
            self.threads_max = device.runs_at_once(config, session_config)
        self._signatures = model.signatures
        self._default = model.default
        pool = runner.SESSIONS_POOL if chosen.inter_op_threads else runner.IN_CALLERS_THREAD
        self._runner = runner.Runner(model.session, pool)
        self._codec_of = codecs(lambda number: api.tf.as_dtype(number).as_numpy_dtype)
        self._plans = {}
        self._layouts = {}  # by the request's length
        self._tries = {}
        self._lock = threading.Lock()
        self._prepare_default()

    def _prepare_default(self):
        """Let TensorFlow optimise now what most requests will ask for."""
        with contextlib.suppress(ServingError):  # a request for what cannot be had will be told
            self.plan("", tuple(sorted(self._default.inputs)), ())

    def process(self, request):
        """A PredictRequest's bytes in, a PredictResponse's out."""
        layout = self._layouts.get(len(request))
        if layout is not None:
            arrays = layout.arrays(request)
            if arrays is not None:
                return layout.plan.encode(layout.plan.run(arrays))
        message = wire.parse(request)
        names = tuple(message.inputs)
        if len(names) > 1:
            names = tuple(sorted(names))
        wanted = message.output_filter
        wanted = tuple(wanted) if wanted else ()
        asked = self._plans.get((message.signature_name, names, wanted))
        if asked is None:
            asked = self.plan(message.signature_name, names, wanted)
        try:
            arrays = asked.decode(message)
        except NeedsCanonical:
            arrays = asked.decode_canonical(wire.parse(request, wire.PredictRequest))
        answer = asked.encode(asked.run(arrays))
        self._learn(request, asked, arrays)
        return answer

    def _learn(self, request, plan, arrays):
        """Remember where the numbers lie, for requests of the same length."""
        size = len(request)
        tries = self._tries.get(size, 0)
        if tries >= LAYOUT_TRIES_MAX or len(self._tries) >= LAYOUTS_MAX:
            return  # kinds of requests that differ although they are as long: parse them
        self._tries[size] = tries + 1
        self._layouts[size] = layouts.learn(request, plan, arrays)

    def plan(self, signature_name, names, wanted):
        """The Plan for requests with these sorted input names and this output_filter."""
        wanted = tuple(dict.fromkeys(wanted))
        key = (signature_name, names, wanted)
        with self._lock:
            made = self._plans.get(key)
            if made is None:
                signature = self._signature(signature_name)
                made = make_plan(signature, self._runner, self._codec_of, names, wanted)
                if len(self._plans) >= PLANS_MAX:
                    del self._plans[next(iter(self._plans))]
                self._plans[key] = made
            return made

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

    def versions(self):
        """TensorFlow's, numpy's and protobuf's."""
        return {
            "tensorflow": self._tensorflow_version,
            "numpy": np.__version__,
            "protobuf": google.protobuf.__version__,
        }
