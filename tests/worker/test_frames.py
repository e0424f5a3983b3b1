"""The wall's wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_processor.worker.frames import (
    HEADER,
    HEADER_BYTES,
    Frame,
    FrameDecoder,
    FrameError,
    Kind,
    encode,
)

frames = st.builds(
    Frame,
    kind=st.sampled_from([int(kind) for kind in Kind]),
    code=st.integers(0, 255),
    flags=st.integers(0, 65535),
    id=st.integers(0, 2**64 - 1),
    aux=st.integers(0, 2**64 - 1),
    payload=st.binary(max_size=200),
)


def encoded(frame):
    return encode(frame.kind, frame.payload, frame.id, frame.code, frame.flags, frame.aux)


@given(st.lists(frames, max_size=6), st.lists(st.integers(0, 2000), max_size=8))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(sent, cuts):
    stream = b"".join(encoded(frame) for frame in sent)
    decoder, received = FrameDecoder(), []
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, stop in zip(places, places[1:], strict=False):
        received += decoder.feed(stream[start:stop])
    assert received == sent
    assert decoder.pending_bytes == 0
    decoder.close()


@given(frames, st.integers(1, 10_000))
def test_end_of_file_inside_a_frame_is_a_named_error(frame, cut):
    stream = encoded(frame)
    decoder = FrameDecoder()
    assert decoder.feed(stream[: min(cut, len(stream) - 1)]) == []
    with pytest.raises(FrameError, match="inside a frame"):
        decoder.close()


def test_a_payload_over_the_bound_is_refused_before_it_comes():
    decoder = FrameDecoder(payload_bytes_max=10)
    with pytest.raises(FrameError, match="11 bytes"):
        decoder.feed(HEADER.pack(11, Kind.ANSWER, 0, 0, 1, 0))


@given(st.binary(min_size=HEADER_BYTES, max_size=100))
def test_garbage_is_frames_or_a_named_error(data):
    decoder = FrameDecoder(payload_bytes_max=1000)
    try:
        decoder.feed(data)
    except FrameError:
        return
    assert decoder.pending_bytes <= len(data)


def test_a_large_frame_in_small_pieces_is_not_copied_again_and_again():
    frame = encode(Kind.PROCESS, bytes(8 << 20))
    decoder = FrameDecoder()
    view = memoryview(frame)
    out = []
    for start in range(0, len(frame), 4096):
        out += decoder.feed(bytes(view[start : start + 4096]))
    assert len(out) == 1 and len(out[0].payload) == 8 << 20
