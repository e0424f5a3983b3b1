"""The plug-in class: what a processor implements (Python 3.6-clean).

A processor is named by its manifest, `entry = "module:Class"`. The worker makes one instance, calls
`initialize` once and then `process` for each request, from up to `config["concurrency"]` threads at
once. Raise `eas_processor.errors.ServingError` to choose the status and the words the client gets;
any other exception is an internal error whose traceback goes to the log, not to the client.
"""

import json

from eas_processor.errors import Code, ConfigError, ServingError, StartError
from eas_processor.worker.deadline import left_s
from eas_processor.worker.frames import Content, Kind

__all__ = [
    "Answer",
    "Code",
    "ConfigError",
    "Content",
    "Processor",
    "ServingError",
    "StartError",
    "left_s",
]


class Answer(object):
    """An answer that is not plain bytes: its body and what kind of content that is."""

    __slots__ = ("body", "content")

    def __init__(self, body, content=Content.BINARY):
        self.body = body
        self.content = content

    @classmethod
    def json(cls, value):
        """`value` as indented JSON text."""
        return cls((json.dumps(value, indent=4) + "\n").encode("utf-8"), Content.JSON)


class Processor(object):
    """Base class of all processors. `process` is the only method that must be written.

    threads_max: set it in `initialize` where more than so many calls at once would only be in each
    other's way; the others wait inside the worker. None: as many as `config["concurrency"]`.
    joins: set it in `initialize` to be given what waits together, see `many`.
    may_not_end: set it in `initialize` where a call may take far longer than those before it: none
        is then run by the thread that reads, for which the others would have to wait.
    takes_views: whether `process` and `predict` take large requests as a memoryview, valid until
    they return, instead of as bytes.
    notes: texts appended in `initialize` that the user should read in the log.
    """

    threads_max = None
    joins = False
    may_not_end = False
    takes_views = False

    def __init__(self):
        self.notes = []

    def initialize(self, model_dir, config):
        """Load the model. Called once, before anything else.

        model_dir: absolute path of the local, unpacked model folder or file; "" if the service
            JSON names no model.
        config: dict with `service` (its name), `model_entry` and `model_config` (texts of the
            service JSON, "" if absent), `options` (dict: the service JSON's `processor_options`),
            `cores` (how many CPU cores this worker may use), `concurrency` (how many threads will
            call `process` at once), `device` ("cpu" or "gpu"), `manifest` (dict: the processor's
            own), `batching` (None, or a dict: `calls_max`, `rows_max`, `allowed_sizes`,
            `pad_variable_length_inputs`, `split_large`, `timeout_us`) and `serving` (dict: what
            TensorFlow Serving's flags ask for; empty otherwise).
        Raises ConfigError for a mistake of the user, StartError when it cannot run here.
        """

    def process(self, request):
        """Answer one request: bytes in, bytes (or text, or an `Answer`) out. Thread-safe.

        An empty request never comes here unless `describe` is left as it is.
        """
        raise NotImplementedError

    def describe(self, signature):
        """Answer an empty request. signature: the `?signature=` of its URL, "" if it had none.

        EAS hands an empty body to a custom processor, so that is the default.
        """
        return self.process(b"")

    def predict(self, request, flags):
        """Answer a serialised `tensorflow.serving.PredictRequest`.

        Returns a serialised PredictResponse that holds `outputs` alone. The request's signature
        name, inputs and output_filter count; its model's name and version have been seen to.
        flags: `frames.TENSOR_CONTENT` where numbers are wanted in `tensor_content`.
        """
        raise ServingError(
            Code.UNIMPLEMENTED, "this processor does not speak TensorFlow Serving's protocol"
        )

    def signatures(self):
        """The model's signatures: a serialised `tensorflow.serving.SignatureDefMap`, or nothing."""
        return b""

    def many(self, calls):
        """Answer calls that came together; asked instead of `process` and `predict` if `joins`.

        calls: [(kind, payload, flags)], at least one. Returns a list of the same length: for each
        call what `process` would give, or the exception that it would raise; a bad call must not
        fail the others.
        """
        answers = []
        for kind, payload, flags in calls:
            try:
                if kind == Kind.PROCESS:
                    answers.append(self.process(payload))
                else:
                    answers.append(self.predict(payload, flags))
            except Exception as error:
                answers.append(error)
        return answers

    def profile(self, levels):
        """Begin to record what the runtime does, or end that and return what was recorded.

        levels: what to record, by the names of tf.profiler.experimental.ProfilerOptions; None to
        end. Returns nothing at the beginning, a serialised XSpace at the end.
        """
        raise ServingError(Code.UNIMPLEMENTED, "this processor has no profiler")

    def versions(self):
        """What the user will want to know of this runtime, e.g. {"tensorflow": "1.15.5"}."""
        return {}
