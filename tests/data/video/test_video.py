"""Frames and their times, out of videos and folders, and into videos; and videos that are not whole."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from throughtime.data.video import frames_of, is_frame_folder, read_frames, write_video
from throughtime.errors import ArgumentError, DataError

KINDS = ("mp4", "webm", "mkv", "gif")


def grey_frames(count, side=32):
    """Frame k is of brightness 8 k."""
    return [np.full((side, side, 3), 8 * k, np.uint8) for k in range(count)]


def encode(path, frames, ticks, *, rate=10, size=None):
    """A video by hand: a frame at each tick of a tenth of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = size or frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for image, tick in zip(frames, ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = 100 * tick, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read(tmp_path, kind):
    frames, times = grey_frames(12), [0.0, 0.1, 0.2, 0.5, *np.arange(8) * 0.1 + 0.6]
    path = write_video(tmp_path / f"a.{kind}", frames, times)
    found = read_frames(path, grey=True)
    np.testing.assert_allclose(found.times, times, atol=0.011)
    np.testing.assert_allclose(found.values.mean((1, 2, 3)), 8 * np.arange(12), atol=8)
    small = read_frames(path, size=(16, 8))
    assert small.values.shape == (12, 8, 16, 3)


def test_a_varying_rate_has_its_times_right(tmp_path):
    path = encode(tmp_path / "a.mkv", grey_frames(5), [0, 1, 2, 8, 9])
    np.testing.assert_allclose(read_frames(path).times, [0, 0.1, 0.2, 0.8, 0.9], atol=2e-3)
    steady = read_frames(path, rate=10, grey=True)
    np.testing.assert_allclose(steady.times, np.arange(10) / 10, atol=2e-3)
    shown = steady.values.mean((1, 2, 3))
    np.testing.assert_allclose(shown, [0, 8, 16, 16, 16, 16, 16, 16, 24, 32], atol=4)
    part = read_frames(path, rate=10, start=0.7, end=0.9)
    assert len(part) == 2
    with pytest.raises(DataError, match=r"expected frames from 5 to inf s, got none"):
        read_frames(path, start=5)
    with pytest.raises(ArgumentError, match="expected an end after the start, got 2 to 1 s"):
        read_frames(path, start=2, end=1)


def test_texts_stand_in_a_bar_below(tmp_path):
    frames = grey_frames(3, 240)
    path = write_video(tmp_path / "a.mkv", frames, [0, 0.1, 0.2], ["walking  0.98"] * 3)
    found = read_frames(path)
    assert found.values.shape[1:] == (260, 240, 3)
    assert found.values[0, 240:].max() > 200, "letters"


def test_one_frame_is_enough(tmp_path):
    found = read_frames(encode(tmp_path / "a.mkv", grey_frames(1), [0]), rate=10)
    assert found.values.shape == (1, 32, 32, 3)
    assert found.times.tolist() == [0]


def test_a_folder_of_frames_in_the_order_of_their_numbers(tmp_path):
    for k in (2, 10, 1):
        Image.fromarray(np.full((8, 8), 10 * k, np.uint8)).save(tmp_path / f"frame{k}.png")
    assert is_frame_folder(tmp_path)
    found = read_frames(tmp_path, grey=True)
    np.testing.assert_allclose(found.values.mean((1, 2, 3)), [10, 20, 100], atol=2)
    np.testing.assert_allclose(found.times, [0, 0.04, 0.08])
    (tmp_path / "notes.txt").write_text("x")
    assert not is_frame_folder(tmp_path)


def test_a_size_that_changes_is_scaled_to_the_first(tmp_path):
    # MPEG-TS carries what two encoders gave, one after the other.
    parts = []
    for number, side in enumerate((32, 64)):
        path = tmp_path / f"{number}.ts"
        with av.open(str(path), "w", format="mpegts") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p"
            for k in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((side, side, 3), 90, np.uint8), format="rgb24")
                frame.pts, frame.time_base = k + 5 * number, Fraction(1, 25)
                container.mux(stream.encode(frame.reformat(format="yuv420p")))
            container.mux(stream.encode(None))
        parts.append(path.read_bytes())
    whole = tmp_path / "a.ts"
    whole.write_bytes(b"".join(parts))
    found = read_frames(whole, grey=True)
    assert len(found) >= 9
    assert found.values.shape[1:] == (32, 32, 1)
    np.testing.assert_allclose(found.values.mean((1, 2, 3)), 90, atol=4)


def test_videos_that_are_none_or_not_whole(tmp_path):
    path = encode(tmp_path / "a.mp4", grey_frames(30, 64), range(30))
    content = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"cut.mp4: expected a (whole )?video.*, got"):
        read_frames(cut)
    encode(
        tmp_path / "a.mkv",
        [np.random.default_rng(k).integers(0, 255, (64, 64, 3), np.uint8) for k in range(60)],
        range(60),
    )
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"cut.mkv: expected (5|6)\.\d\d s of video as the file says, got"):
        read_frames(tmp_path / "cut.mkv")
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(DataError, match=r"text.mp4: expected a video, got Invalid data"):
        read_frames(tmp_path / "text.mp4")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty.mp4: expected a video, got"):
        read_frames(tmp_path / "empty.mp4")
    with pytest.raises(DataError, match="got no such file; check the path"):
        list(frames_of(tmp_path / "missing.mp4"))


def test_sound_alone_and_no_frame_at_all(tmp_path):
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(DataError, match="expected a video stream, got audio alone"):
        read_frames(tmp_path / "sound.mkv")
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
    with pytest.raises(DataError, match=r"none.mkv: expected a video.*, got"):
        read_frames(tmp_path / "none.mkv")


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"ends in .mp4, .mkv, .webm, .gif, got .*a.txt"):
        write_video(tmp_path / "a.txt", grey_frames(1), [0])
    with pytest.raises(ArgumentError, match="expected times for 2 frames, got 1"):
        write_video(tmp_path / "a.gif", grey_frames(2), [0])
    with pytest.raises(ArgumentError, match="expected frames, got none"):
        write_video(tmp_path / "a.gif", [], [])
