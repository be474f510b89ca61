"""Which columns of a table hold what."""

from collections.abc import Sequence
from dataclasses import dataclass

from throughtime.errors import DataError

__all__ = ["Columns", "Found"]

_NAMES = {
    "label": ("label", "labels", "class", "activity", "gesture", "target"),
    "time": ("time", "timestamp", "timestamps", "seconds", "ts", "ds"),
    "group": ("group", "subject", "subject_id", "person", "participant", "user", "source"),
    "recording": ("recording", "recording_id", "sequence", "sequence_id", "session", "trial", "execution"),
    "file": ("file", "path", "filename", "file_name", "video", "clip"),
    "start": ("start", "begin", "from"),
    "end": ("end", "stop", "to"),
}


@dataclass(frozen=True)
class Columns:
    """The names of columns; None: found by their names, in any case.

    Attributes:
        label: label, class, activity, gesture, target.
        time: time, timestamp, seconds, ts, ds: numbers or dates; numbers are seconds, or milli-, micro- or nanoseconds
            since 1970 where they are that large.
        group: group, subject, person, participant, user, source: those in whom recordings are alike.
        recording: recording, sequence, session, trial, execution, where a table holds several.
        channels: the values; None: all other columns.
        per_step: of tables with a sequence in each row: how many values a step has.
    """

    label: str | None = None
    time: str | None = None
    group: str | None = None
    recording: str | None = None
    channels: tuple[str, ...] | None = None
    per_step: int | None = None


@dataclass(frozen=True)
class Found:
    """The columns of one table; None for what it has not."""

    label: str | None
    time: str | None
    group: str | None
    recording: str | None
    file: str | None
    start: str | None
    end: str | None
    channels: tuple[str, ...]

    @classmethod
    def among(cls, names: Sequence[str], columns: Columns, who: str) -> "Found":
        """The columns that are there.

        Raises:
            DataError: a column that was named is not there.
        """
        lower = {name.strip().lower(): name for name in reversed(names)}
        roles: dict[str, str | None] = {}
        for role, known in _NAMES.items():
            wanted = getattr(columns, role, None)
            if wanted is not None and wanted not in names:
                raise DataError(
                    f"{who}: expected a column {wanted!r}, got {', '.join(map(repr, names))}; name one of them"
                )
            taken = {*roles.values(), *(columns.channels or ())}
            guess = next((lower[name] for name in known if name in lower and lower[name] not in taken), None)
            roles[role] = guess if wanted is None else wanted
        if columns.channels is not None:
            for name in columns.channels:
                if name not in names:
                    raise DataError(
                        f"{who}: expected a column {name!r}, got {', '.join(map(repr, names))}; name one of them"
                    )
            channels = columns.channels
        else:
            of_files = () if roles["file"] else (roles["start"], roles["end"])
            special = {name for name in roles.values() if name not in of_files}
            channels = tuple(name for name in names if name not in special)
        return cls(**roles, channels=channels)
