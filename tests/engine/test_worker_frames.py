"""What goes over a worker's channel arrives as it was sent, or is refused; never misread."""

from __future__ import annotations

import asyncio
import io
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdgraph.engine.worker.frames import MAX_FRAME_BYTES, BadFrame, Frame, Preview, encode, read, read_async

SIMPLE = st.none() | st.booleans() | st.integers() | st.text()
MESSAGES = st.dictionaries(st.text(), st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=3), max_leaves=8))
PREVIEWS = st.builds(Preview, st.text(), st.text(), st.binary(), st.sampled_from(["image/jpeg", "image/png"]))


def read_all(data: bytes) -> list[Frame]:
    stream, found = io.BytesIO(data), list[Frame]()
    while (frame := read(stream)) is not None:
        found.append(frame)
    return found


def read_all_async(data: bytes) -> list[Frame]:
    async def reading() -> list[Frame]:
        stream, found = asyncio.StreamReader(), list[Frame]()
        stream.feed_data(data)
        stream.feed_eof()
        while (frame := await read_async(stream)) is not None:
            found.append(frame)
        return found

    return asyncio.run(reading())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(MESSAGES | PREVIEWS, max_size=4), st.integers(0, 20))
def test_frames_arrive_whole_and_in_order_and_a_torn_one_is_the_end(frames: list[Any], cut: int) -> None:
    data = b"".join(encode(frame) for frame in frames)
    assert read_all(data) == frames
    assert read_all_async(data) == frames
    torn = read_all(data[: max(len(data) - 1 - cut, 0)])
    assert torn == frames[: len(torn)]
    assert len(torn) < len(frames) or not frames


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">BI", 7, 0),
        struct.pack(">BI", 0, MAX_FRAME_BYTES + 1),
        struct.pack(">BI", 0, 4) + b"nope",
        struct.pack(">BI", 0, 2) + b"[]",
        struct.pack(">BI", 0, 200_000) + b"[" * 200_000,
        struct.pack(">BI", 1, 3) + b"abc",
        struct.pack(">BI", 1, 4) + struct.pack(">I", 2**31),
        struct.pack(">BI", 1, 6) + struct.pack(">I", 2) + b"{}",
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrame):
        read_all(data)
    with pytest.raises(BadFrame):
        read_all_async(data)


def test_a_frame_of_more_bytes_than_the_other_side_reads_is_not_sent() -> None:
    with pytest.raises(BadFrame):
        encode(Preview("r", "n", bytes(MAX_FRAME_BYTES), "image/png"))
