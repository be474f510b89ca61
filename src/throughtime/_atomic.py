"""Files and folders that appear whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from throughtime.errors import DataError

__all__ = ["check_parent", "check_room", "check_writable", "replacing", "write_folder"]


def _temporary_sibling(path: Path) -> Path:
    """A free hidden name in the folder of `path`, so that the later rename stays on one file system."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes `path` at the end, and goes if an error ends the block."""
    temporary = _temporary_sibling(path)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into a hidden sibling folder, on the disk, then give it the name.

    A folder of that name is replaced, and is there again where the last rename fails.

    Raises:
        OSError: writing or renaming failed; nothing new is left behind.
    """
    new, old = _temporary_sibling(target), _temporary_sibling(target)
    try:
        new.mkdir()
        for name, content in files.items():
            with (new / name).open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync_folder(new)
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        _sync_folder(target.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that a file can be written here, by writing an empty one beside it: call it before long work.

    Raises:
        DataError: the folder is missing or not a folder, `path` is a folder, or writing fails.
    """
    target = Path(path)
    check_parent(target)
    try:
        if target.is_dir():
            raise DataError(f"{target}: expected a file to write, got a folder; give a file name in it")
        if target.exists() and not os.access(target, os.W_OK):
            raise DataError(
                f"{target}: expected a file that can be replaced, got one that is read-only; give another path"
            )
    except OSError as error:
        raise DataError(f"{target}: expected a path to write to, got {error.strerror}; give another path") from error
    check_room(target)


def check_parent(target: Path) -> None:
    """Check that the folder that is to hold `target` is there."""
    parent = target.parent
    try:
        if target.name in ("", ".."):
            raise DataError(
                f"{target}: expected a path with a name at its end, got one that ends in {target.name!r}; give a name"
            )
        if parent.is_dir():
            return
        above = next((folder for folder in parent.parents if folder.exists()), Path())
        if parent.exists() or not above.is_dir():
            file = parent if parent.exists() else above
            raise DataError(f"{target}: expected a folder at {file}, got a file; give another path")
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{target}: expected a path to write to, got {error}; give another path") from error
    raise DataError(f"{target}: expected the folder {parent} to be there, got none; create it first")


def check_room(target: Path) -> None:
    """Create and remove a file beside `target`: a read-only mount or a missing right shows only so."""
    probe = _temporary_sibling(target)
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise DataError(
            f"{target}: expected a folder to write in, got {error.strerror} in {target.parent}; give another path"
        ) from error
    except ValueError as error:
        raise DataError(f"{str(target)!r}: expected a path to write to, got {error}; give another path") from error
