"""Which requests run together, and what happens when that goes wrong."""

from eas_processor.errors import Code, ServingError

from . import rows
from .trust import Trust

PADDED_RANK_MAX = 6  # TensorFlow Serving's


class Job(object):
    """A decoded request: run(arrays) is wanted; `results` or `error` is set when it is done."""

    __slots__ = ("arrays", "error", "results", "run")

    def __init__(self, run, arrays):
        """run: list of ndarrays → list of ndarrays, the same object for the same feeds, fetches."""
        self.run = run
        self.arrays = arrays
        self.results = None
        self.error = None


class Joiner(object):
    """Runs jobs, joined where that changes no answer. Several threads may call it at once."""

    def __init__(self, batching, note):
        """batching: the dict of `Processor.initialize`; note: function that logs one line."""
        self._rows_max = batching.get("rows_max")
        self._sizes = sorted(batching.get("allowed_sizes") or ())
        self._pads = bool(batching.get("pad_variable_length_inputs"))
        self._splits = bool(batching.get("split_large"))
        self._trust = Trust(note)

    def run(self, jobs):
        """Set `results` (possibly views of one array) or `error` (the exception) of every job."""
        alike = {}
        for job in jobs:
            alike.setdefault(self._kind(job), []).append(job)
        for kind, group in alike.items():
            if type(kind) is int:
                _apart(group)
            else:
                self._run_alike(group, self._trust.record(kind[0], group[0].arrays))

    def outputs(self, run, arrays, are_equal):
        """The outputs of a joined run on these arrays, each with as many rows as they; None where
        only `run` with its jobs can tell what is right. are_equal: whether all requests are."""
        total = len(arrays[0])
        record = self._trust.known(run)
        if record is None or self._pads or self._rounded(total) != total:
            return None
        if (self._rows_max is not None and total > self._rows_max) or not record.is_proven(
            are_equal
        ):
            return None
        try:
            outputs = self._checked(run, arrays, total)
        except Exception:
            return None  # whose fault it is comes out when they run apart
        record.succeeded()
        return outputs

    def _kind(self, job):
        """What jobs share that can be joined; a number of its own for one that cannot be."""
        kind = [job.run]
        count = 0
        for array in job.arrays:
            shape = array.shape
            count = count or (shape[0] if shape else 0)
            if not count or shape[:1] != (count,):
                return id(job)
            if self._pads and len(shape) <= PADDED_RANK_MAX and 0 not in shape:
                kind.append((array.dtype, len(shape)))
            else:
                kind.append((array.dtype, shape[1:]))
        return tuple(kind) if count else id(job)

    def _run_alike(self, jobs, record):
        """Jobs of one kind: those that are too large by themselves, the others in groups."""
        rows_max = self._rows_max
        group, total = [], 0
        for job in jobs:
            count = len(job.arrays[0])
            if rows_max is not None and count > rows_max:
                self._run_large(job, count, record)
                continue
            if rows_max is not None and total + count > rows_max:
                self._run_group(group, total, record)
                group, total = [], 0
            group.append(job)
            total += count
        if group:
            self._run_group(group, total, record)

    def _run_group(self, jobs, total, record):
        if not record.joins or (len(jobs) == 1 and self._rounded(total) == total):
            _apart(jobs)
            return
        run = jobs[0].run
        pieces = [job.arrays for job in jobs]
        if self._pads:
            pieces = rows.padded(pieces)
        try:
            outputs = self._once(run, pieces, total)
        except Exception as error:
            _apart(jobs)
            _learn(record, jobs, error)
            return
        results = rows.cut(outputs, [len(piece[0]) for piece in pieces])
        if record.is_due(pieces):
            self._prove(jobs, pieces, results, record)
            return
        record.succeeded()
        for job, result in zip(jobs, results):
            job.results = result

    def _prove(self, jobs, pieces, results, record):
        """Answer from single runs and compare. What was padded is so here too: that padding may
        change an answer is known to whoever asked for it."""
        singles = [Job(jobs[0].run, piece) for piece in pieces]
        _apart(singles)
        errors = [single.error for single in singles if single.error is not None]
        if any(map(_is_late, errors)):
            pass  # nothing was compared: the next group will be
        elif errors:
            record.failed(errors[0])
        else:
            record.compare(results, [single.results for single in singles], pieces)
        if self._pads and (errors or not record.joins):
            _apart(jobs)
            return
        for job, single in zip(jobs, singles):
            job.results, job.error = single.results, single.error

    def _run_large(self, job, count, record):
        """A job with more rows than may run at once."""
        if not self._splits:
            job.error = ServingError(
                Code.INVALID_ARGUMENT,
                "Task size %d is larger than maximum input batch size %d" % (count, self._rows_max),
            )
            return
        if not record.joins:
            _apart([job])
            return
        try:
            pieces = rows.chunks(job.arrays, self._rows_max)
            results = rows.end_to_end(
                [self._once(job.run, [piece], len(piece[0])) for piece in pieces]
            )
        except Exception as error:
            _apart([job])
            _learn(record, [job], error)
            return
        job.results = results
        if record.is_due([job.arrays]):
            whole = Job(job.run, job.arrays)
            _apart([whole])
            if whole.error is not None:  # too large indeed: there is nothing to compare with
                if not _is_late(whole.error):
                    record.passed([job.arrays])
            elif not record.compare([results], [whole.results], [job.arrays]):
                job.results = whole.results

    def _once(self, run, pieces, total):
        """The outputs of one run on all pieces, which have `total` rows. Raises _Odd."""
        size = self._rounded(total)
        outputs = self._checked(run, rows.joined(pieces, size - total), size)
        return outputs if size == total else [output[:total] for output in outputs]

    @staticmethod
    def _checked(run, arrays, size):
        outputs = run(arrays)
        for place, output in enumerate(outputs):
            shape = output.shape
            if not shape or shape[0] != size:
                raise _Odd("output %d has shape %s for %d rows" % (place, list(shape), size))
            if any(output is array for array in arrays):
                raise _Odd("output %d is an input" % place)
        return outputs

    def _rounded(self, total):
        """The next allowed number of rows; the number itself if there is none."""
        for size in self._sizes:
            if size >= total:
                return size
        return total


def _is_late(error):
    """Whether a run was left at its deadline, which tells nothing of what it would have given."""
    return isinstance(error, ServingError) and error.code == Code.DEADLINE_EXCEEDED


class _Odd(Exception):
    """The outputs do not follow dimension 0."""


def _apart(jobs):
    for job in jobs:
        try:
            job.results = job.run(job.arrays)
        except Exception as error:
            job.error = error


def _learn(record, jobs, error):
    """From a joined run that failed, after its jobs ran apart."""
    if isinstance(error, _Odd):
        record.give_up(str(error))
    elif all(job.error is None for job in jobs):
        record.failed(error)
