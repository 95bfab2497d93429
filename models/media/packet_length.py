"""How long a recording is by its packets, without decoding them."""

from __future__ import annotations

from models.media.admitted import CONTAINERS
from models.media.contained import ContainedProcess, address_of
from models.media.limits import MediaLimits
from models.schema.errors import LimitExceeded


def packets_exceed(
    descriptor: int, track: str, limits: MediaLimits, *, longest_seconds: float
) -> bool:
    """Whether the packets of `track` (ffprobe's specifier, `a:0`) last longer than allowed.

    Asked only when the container claims so, which may be wrong: a recording is refused before the
    work when its packets agree. False when reading them takes too long; decoding has its own limit.
    """
    arguments = [
        *("ffprobe", "-loglevel", "repeat+level+error", "-print_format", "csv=print_section=0"),
        *("-select_streams", track, "-show_entries", "packet=duration_time"),
        *("-max_streams", str(limits.streams), "-protocol_whitelist", "file"),
        *("-format_whitelist", ",".join(CONTAINERS), address_of(descriptor)),
    ]
    seconds, rest = 0.0, b""
    with ContainedProcess(
        arguments,
        descriptor=descriptor,
        limits=limits,
        wait_seconds=limits.probe_seconds,
        processor_seconds=limits.probe_seconds,
    ) as child:
        try:
            while seconds <= longest_seconds and (text := child.read()):
                *lines, rest = (rest + text).split(b"\n")
                seconds += sum(_seconds(line) for line in lines)
        except LimitExceeded:
            return False
    return seconds > longest_seconds


def _seconds(line: bytes) -> float:
    try:
        return max(0.0, float(line.split(b",")[0]))
    except ValueError:
        return 0.0
