"""Counts the words of a text: text in, JSON out."""

import collections
import re

from eas_processor.worker.processor import Answer, Code, Processor, ServingError


class TextStatistics(Processor):
    """A processor without a model."""

    def initialize(self, model_dir, config):
        self.top = config["options"].get("top", 3)

    def process(self, request):
        try:
            text = request.decode("utf-8")
        except UnicodeDecodeError as error:
            message = "the text must be UTF-8; byte %d is not" % error.start
            raise ServingError(Code.INVALID_ARGUMENT, message) from None
        words = re.findall(r"\w+", text.lower())
        most_common = collections.Counter(words).most_common(self.top)
        return Answer.json({"words": len(words), "most_common": dict(most_common)})
