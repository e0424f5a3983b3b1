"""Finds the word of a list that comes nearest to a given one. The list is the model."""

import rapidfuzz

from eas_processor.worker.processor import Answer, ConfigError, Processor

WORD_CHARS_MAX = 100


class Spelling(Processor):
    """A processor with a model file and a requirement of its own."""

    def initialize(self, model_dir, config):
        try:
            with open(model_dir, encoding="utf-8") as file:
                self.words = file.read().split()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("model_path must be a UTF-8 file of words: %s" % error) from None
        if not self.words:
            raise ConfigError("model_path: %s holds no words" % model_dir)

    def process(self, request):
        word = request.decode("utf-8", "replace").strip()[:WORD_CHARS_MAX]
        ratio = rapidfuzz.fuzz.ratio
        nearest, likeness, _ = rapidfuzz.process.extractOne(word, self.words, scorer=ratio)
        return Answer.json({"nearest": nearest, "likeness": round(likeness)})

    def describe(self, signature):
        return "send a word; you get the nearest of %d known ones\n" % len(self.words)

    def versions(self):
        return {"rapidfuzz": rapidfuzz.__version__}
