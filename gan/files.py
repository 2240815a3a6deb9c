"""Files that are either complete or absent, and the hash that says which."""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gan.errors import InputError

PUBLISHED = ".published"
FULL_BYTES = 2**20  # a disk with less room is full


@contextmanager
def publish(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix; on success it is synced to disk and renamed to `path`.

    If the block raises, nothing is left behind and a former `path` stays as it was.

    Raises:
        InputError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except (OSError, RuntimeError) as error:
        _tell_a_full_disk(path, error)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex}.{path.name}")


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tell_a_full_disk(path: Path, error: Exception) -> None:
    """Raise an `InputError` if the disk of `path` is full: libraries say only that they could not write."""
    if shutil.disk_usage(path.parent).free < FULL_BYTES:
        raise InputError(path, "a full disk", "room to write it") from error


def remove_leftovers(folder: Path) -> None:
    """Remove what programs that were killed left half written below `folder`, in which no other may be writing."""
    for path in list(folder.rglob(".*")):
        if re.match(r"\.[0-9a-f]{32}\.", path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def publish_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; synced, it takes the place of `path` and all that was in it.

    If the block raises, nothing is left behind and a former `path` stays as it was. A folder that this function made
    holds a file `.published`, and no other folder is replaced unless it is empty.

    Raises:
        InputError: `path` holds something else, which would be lost, or the disk is full.
    """
    if not path.name or (path.is_dir() and any(path.iterdir()) and not (path / PUBLISHED).is_file()):
        raise InputError(path.absolute(), "a folder with other files", "a folder of its own for the output")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        (temporary / PUBLISHED).touch()
        for made in (*temporary.rglob("*"), temporary):
            _sync(made)
        former = _beside(path)
        if path.exists():
            path.replace(former)
        temporary.replace(path)
        _sync(path.parent)
        shutil.rmtree(former, ignore_errors=not former.exists())
    except (OSError, RuntimeError) as error:
        _tell_a_full_disk(path, error)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=not temporary.exists())
