"""The smallest processor: answers each request with itself. For tests, the tutorial, benchmarks."""

from eas_processor.worker.processor import Processor


class EchoProcessor(Processor):
    """Gives every request back."""

    def process(self, request):
        """Bytes in, the same bytes out."""
        return request
