"""The one failure of this package: something that stops the run, with words for the user."""


class BenchmarkError(Exception):
    """What went wrong, where, and what to do; `__main__` prints it and ends with exit code 3."""
