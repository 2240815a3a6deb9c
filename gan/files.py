"""Files that are either complete or absent, and the hash that says which."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gan.errors import InputError

PUBLISHED = ".published"


@contextmanager
def publish(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix; on success it is synced to disk and renamed to `path`.

    If the block raises, nothing is left behind and a former `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex}.{path.name}")


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def publish_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it takes the place of `path` and all that was in it.

    If the block raises, nothing is left behind and a former `path` stays as it was. A folder that this function made
    holds a file `.published`, and no other folder is replaced unless it is empty.

    Raises:
        InputError: `path` holds something else, which would be lost.
    """
    if not path.name or (path.is_dir() and any(path.iterdir()) and not (path / PUBLISHED).is_file()):
        raise InputError(path.absolute(), "a folder with other files", "a folder of its own for the output")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        (temporary / PUBLISHED).touch()
        former = _beside(path)
        if path.exists():
            path.replace(former)
        temporary.replace(path)
        shutil.rmtree(former, ignore_errors=not former.exists())
    finally:
        shutil.rmtree(temporary, ignore_errors=not temporary.exists())
