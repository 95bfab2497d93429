"""One pass over an upload: sound and picture in time order, in pieces of bounded size."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from models.media.clocks import FrameClock, SoundClock
from models.media.contained import ContainedProcess, open_descriptor
from models.media.decoder_arguments import decoder_arguments
from models.media.limits import MediaLimits, too_long, too_slow
from models.media.loudness import SUMMARY_START, parse_loudness
from models.media.pieces import PIECE_SECONDS, Frame, SoundPiece, TimeOrder
from models.schema.errors import BrokenMedia, LikenessError, LimitExceeded, ToolMissing
from models.schema.media import DecodeSummary, MediaFacts, PictureFacts

__all__ = ["Frame", "MediaStream", "SoundPiece", "decode"]

_MEMORY_WORDS = (
    "Cannot allocate memory",
    "Resource temporarily unavailable",
    "failed to map segment",
)
"""How ffmpeg, a thread's start and the dynamic linker say that RLIMIT_DATA is reached."""
_READ_BYTES = 1 << 18


def decode(
    source: BinaryIO | int,
    facts: MediaFacts,
    limits: MediaLimits,
    *,
    sound: bool,
    picture: bool,
    longest_side_pixels: int = 1280,
) -> MediaStream:
    """Decode a probed file once. Use the result as a context manager and iterate over it.

    `source` must be open when the context is entered; enter it in the thread that iterates.

    Sound comes at the file's own rate and channels, contiguous: gaps of its time stamps are filled
    with silence. Frames keep their own time stamps, are rotated upright, never enlarged, and HDR is
    tone-mapped to BT.709. With `picture=False` no picture decoder is opened.

    Entering or iterating raises BrokenMedia (nothing can be decoded), LimitExceeded, ToolMissing,
    LikenessError (the decoder was killed from outside);
    ValueError when the file has nothing of what is asked for. Leaving kills and reaps the child.
    """
    sound = sound and facts.sound is not None
    picture = picture and facts.picture is not None
    if not sound and not picture:
        raise ValueError("nothing to decode: ask for sound or picture that the facts state")
    return MediaStream(
        source, facts, limits, sound=sound, picture=picture, longest_side_pixels=longest_side_pixels
    )


class MediaStream:
    """Iterator of SoundPiece and Frame in time order, over one contained child."""

    def __init__(
        self,
        source: BinaryIO | int,
        facts: MediaFacts,
        limits: MediaLimits,
        *,
        sound: bool,
        picture: bool,
        longest_side_pixels: int,
    ) -> None:
        self._facts = facts
        self._limits = limits
        self._descriptor = open_descriptor(source)
        self._arguments = decoder_arguments(
            facts,
            self._descriptor,
            limits,
            sound=sound,
            picture=picture,
            longest_side_pixels=longest_side_pixels,
        )
        self._picture = picture
        self._child: ContainedProcess | None = None
        self._items: Generator[SoundPiece | Frame, None, None] | None = None
        self._summary: DecodeSummary | None = None
        self._sound = SoundClock()
        self._frames = FrameClock()
        self._decoded_seconds = 0.0

    @property
    def summary(self) -> DecodeSummary:
        """What was found; only after the last item was read."""
        if self._summary is None:
            raise ValueError("the summary exists once the stream was read to its end")
        return self._summary

    @property
    def child(self) -> ContainedProcess:
        """The decoding process, while the stream is open."""
        if self._child is None:
            raise ValueError("the stream is not open")
        return self._child

    def __enter__(self) -> Self:
        limits = self._limits
        self._child = ContainedProcess(
            self._arguments,
            descriptor=self._descriptor,
            limits=limits,
            wait_seconds=limits.stall_seconds,
            processor_seconds=limits.stall_seconds + limits.wall_factor * limits.decoded_seconds,
            block_start=SUMMARY_START,
        )
        self._items = self._decode(self._child)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child is not None:
            # The child goes first: nothing below may wait for its output.
            self._child.kill()
            if self._items is not None:
                self._items.close()
            self._child.close()

    def __iter__(self) -> Iterator[SoundPiece | Frame]:
        return self

    def __next__(self) -> SoundPiece | Frame:
        if self._items is None:
            raise ValueError("the stream is not open")
        return next(self._items)

    def _decode(self, child: ContainedProcess) -> Generator[SoundPiece | Frame, None, None]:
        import av

        try:
            container = av.open(child, mode="r", format="nut", buffer_size=_READ_BYTES)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._nothing_decoded(child) from error
        cut_short = False
        to_bgr = _BgrConverter(self._facts.picture)
        order: TimeOrder[Any] = TimeOrder(picture=self._picture)
        index = 0

        def leave(items: Iterator[SoundPiece | tuple[float, Any]]) -> Iterator[SoundPiece | Frame]:
            nonlocal index
            for item in items:
                if isinstance(item, SoundPiece):
                    yield item
                else:
                    time_seconds, packet = item
                    for picture in packet.decode():
                        yield Frame(index, time_seconds, to_bgr(picture))
                        index += 1

        with container:
            packets = container.demux()
            while True:
                try:
                    packet = next(packets, None)
                except av.FFmpegError:
                    cut_short = True
                    break
                if packet is None:
                    break
                if packet.size == 0 or packet.pts is None or packet.time_base is None:
                    continue
                if not _is_whole(packet):
                    cut_short = True
                    break
                time_seconds = float(packet.pts * packet.time_base)
                if packet.stream.type == "audio":
                    for start, samples in self._contiguous(packet, time_seconds):
                        yield from leave(order.add_sound(start, samples, self._sound.rate))
                else:
                    self._frames.add(time_seconds)
                    self._check_limits(child)
                    yield from leave(order.add_picture(time_seconds, packet))
            yield from leave(order.rest())
        status = child.finish()
        self._check_status(child, status)
        if self._sound.samples == 0 and self._frames.count == 0:
            raise self._nothing_decoded(child)
        self._summary = self._summarise(child, damaged=cut_short or status != 0)

    def _contiguous(
        self, packet: Any, time_seconds: float
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The packet's samples behind the silence that its time stamp asks for."""
        context = packet.stream.codec_context
        channels, rate = context.channels, context.sample_rate
        samples = np.frombuffer(packet, np.float32).reshape(-1, channels)
        gap = self._sound.gap_before(time_seconds, rate)
        self._check_length(self._sound.seconds + (gap + len(samples)) / rate)
        while gap:
            silence = min(gap, max(1, int(rate * PIECE_SECONDS)))
            start = self._sound.next_sample
            self._sound.add(silence, silence=True)
            gap -= silence
            yield start, np.zeros((silence, channels), np.float32)
        start = self._sound.next_sample
        self._sound.add(len(samples))
        self._check_limits(self.child)
        yield start, samples

    def _check_length(self, seconds: float) -> None:
        if seconds > self._limits.decoded_seconds:
            raise too_long(self._limits)

    def _check_limits(self, child: ContainedProcess) -> None:
        seconds = max(self._sound.seconds, self._frames.elapsed_seconds)
        self._check_length(seconds)
        if self._frames.count > self._limits.frames_per_second * (seconds + 1.0):
            raise LimitExceeded(
                f"The picture has more than {self._limits.frames_per_second:,.0f} frames a second.",
                remedy="Export the recording at 25 to 60 frames a second.",
                code="too_many_frames",
            )
        if child.bytes_read > self._limits.output_bytes:
            raise LimitExceeded(
                "The recording decodes to more data than is admitted.",
                remedy="Upload a shorter or smaller recording.",
                code="too_much_output",
            )
        if seconds > self._decoded_seconds:
            child.grant(self._limits.wall_factor * (seconds - self._decoded_seconds))
            self._decoded_seconds = seconds

    def _check_status(self, child: ContainedProcess, status: int) -> None:
        if status == -signal.SIGKILL:
            raise LikenessError(
                "The decoder was killed from outside; the machine may have run out of memory.",
                remedy="Run the command again when the machine has more memory free.",
            )
        if status == -signal.SIGXCPU:
            raise too_slow()
        if status != 0 and child.messages.mention(*_MEMORY_WORDS):
            raise _too_much_memory()

    def _nothing_decoded(self, child: ContainedProcess) -> LikenessError:
        self._check_status(child, child.finish())
        messages = child.messages
        if messages.mention("No such filter"):
            return ToolMissing(
                "The installed ffmpeg cannot convert HDR pictures: it lacks zscale or tonemap.",
                remedy="Install an ffmpeg that is built with libzimg, as Debian's is.",
            )
        if messages.mention("Unrecognized option", "Option not found"):
            return ToolMissing(
                "The installed ffmpeg is too old.", remedy="Install ffmpeg 5.1 or newer."
            )
        return BrokenMedia("The file is damaged: nothing in it can be decoded.")

    def _summarise(self, child: ContainedProcess, *, damaged: bool) -> DecodeSummary:
        picture = self._facts.picture
        picture_seconds = self._frames.seconds(picture.frame_rate_hz if picture else 0.0)
        longest = max(self._sound.seconds, picture_seconds)
        if longest < self._limits.least_seconds:
            raise LimitExceeded(
                f"The recording lasts {longest:.2f} seconds; "
                f"at least {self._limits.least_seconds:g} are needed.",
                remedy="Upload a longer recording.",
                code="too_short",
            )
        silence = self._sound.silence / self._sound.rate if self._sound.rate else 0.0
        return DecodeSummary(
            sound_seconds=self._sound.seconds,
            sound_start_seconds=self._sound.start_seconds,
            picture_seconds=picture_seconds,
            picture_start_seconds=self._frames.first_seconds,
            frames=self._frames.count,
            variable_frame_rate=self._frames.varying,
            loudness=parse_loudness(child.messages.last_block) if self._sound.samples else None,
            damaged=damaged or child.messages.complaints > 0,
            silence_filled_seconds=silence,
        )


def _is_whole(packet: Any) -> bool:
    """False for the last packet of a child that ended in the middle of it."""
    context = packet.stream.codec_context
    if packet.stream.type == "audio":
        return bool(packet.size % (4 * context.channels) == 0)
    width, height = context.width, context.height
    return bool(packet.size == width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2))


def _too_much_memory() -> LimitExceeded:
    return LimitExceeded(
        "Decoding the recording needs more memory than is admitted.",
        remedy="Export the recording at 1920 x 1080 or smaller.",
        code="too_much_memory",
    )


class _BgrConverter:
    """Raw yuv420p frames of our own stream to BGR, by the matrix that the file states.

    Done here and not by ffmpeg: half the bytes of BGR cross the pipe. A 720p frame takes one core
    0.4 ms; OpenCV's conversion takes 1.1 ms and knows BT.601 only.
    """

    def __init__(self, picture: PictureFacts | None) -> None:
        from av.video.reformatter import Colorspace, VideoReformatter

        self._reformatter = VideoReformatter()
        names = {
            "bt709": Colorspace.ITU709,
            "smpte240m": Colorspace.SMPTE240M,
            "fcc": Colorspace.FCC,
            "bt470bg": Colorspace.ITU601,
            "smpte170m": Colorspace.ITU601,
        }
        self._matrix = Colorspace.ITU709
        if picture is not None and not picture.high_dynamic_range:
            # What states none is BT.601 up to 576 lines, as in every broadcast standard.
            high = picture.height_pixels > 576 and picture.width_pixels > 576
            unstated = Colorspace.ITU709 if high else Colorspace.ITU601
            self._matrix = names.get(picture.colour_matrix, unstated)

    def __call__(self, picture: Any) -> NDArray[np.uint8]:
        converted = self._reformatter.reformat(
            picture,
            format="bgr24",
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            interpolation="POINT",
            threads=1,
        )
        return np.asarray(converted.to_ndarray(), np.uint8)
