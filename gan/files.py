"""Files that are either complete or absent, and the hash that says which.

What a later step reads is sealed: its SHA-256 lies beside it in `<name>.sha256`, as `sha256sum` writes it, and whoever
reads it calls `checked` first. The rest of a folder is named, with hashes, in a sealed file in it, and is checked by
`require_recorded`.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from gan.errors import InputError

PUBLISHED = ".published"
ROOM_BYTES = 2**20  # a disk with less is full
SEAL = ".sha256"
AGAIN = "; delete the file and run again what makes it"


@contextmanager
def publish(path: Path, sealed: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix; on success it is synced to disk and renamed to `path`.

    If the block raises, nothing is left behind and a former `path` stays as it was. `sealed`: a later step reads it.

    Raises:
        InputError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        _sync(temporary)
        if sealed:
            rename_sealed(temporary, path)
        else:
            temporary.replace(path)
        _sync(path.parent)
    except (OSError, RuntimeError) as error:
        _tell_a_full_disk(path, error)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def publish_json(path: Path, content: object) -> None:
    """Publish a sealed JSON file."""
    with publish(path, sealed=True) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def rename_sealed(source: Path, path: Path) -> None:
    """Rename a complete file to `path`, whose hash is put there first; a former file passes until it is replaced."""
    digest, beside = sha256(source), _seal_of(path)
    former = beside.read_text(errors="replace") if path.is_file() and beside.is_file() else ""
    seal(path, digest, former)
    source.replace(path)
    if former:
        seal(path, digest)


def seal(path: Path, digest: str | None = None, former: str = "") -> None:
    """Put a hash beside `path`, under a former seal: its own, or that of the file that is about to come there."""
    with publish(_seal_of(path)) as temporary:
        temporary.write_text(former + _sealing(path, digest or sha256(path)))


def checked(path: Path) -> str:
    """Return the SHA-256 of a sealed file.

    Raises:
        InputError: the file or its seal is missing, or the file is not the one that was sealed.
    """
    if not path.is_file():
        raise InputError(path, "no such file", "one that an earlier step made")
    return require_sealed(path, sha256(path))


def require_sealed(path: Path, digest: str) -> str:
    """Return the SHA-256 of a file, after it was compared with the seal beside.

    Raises:
        InputError: there is no seal, or another one.
    """
    beside = _seal_of(path)
    if not beside.is_file():
        raise InputError(path, f"no {beside.name} beside it", f"the hash that it was published with{AGAIN}")
    if _sealing(path, digest) not in beside.read_text(errors="replace").splitlines(keepends=True):
        raise InputError(path, "another file than was published", f"that of {beside.name}{AGAIN}")
    return digest


def require_recorded(path: Path, digest: str, record: Path) -> Path:
    """Return the path of a file that a record names with its SHA-256.

    Raises:
        InputError: the file is missing, or is not the one that was recorded.
    """
    if not path.is_file():
        raise InputError(path, "no such file", f"the file that {record} names")
    if (found := sha256(path)) != digest:
        raise InputError(path, f"sha256 {found[:12]}…", f"{digest[:12]}… as {record} says")
    return path


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
    if is_full(path.parent):
        raise InputError(path, "a full disk or quota", "room to write it") from error


def is_full(folder: Path) -> bool:
    """Return whether the disk of a folder, or somebody's quota there, has hardly any room left, by trying."""
    try:
        with TemporaryFile(dir=folder) as probe:
            probe.write(os.urandom(ROOM_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return False


def remove_leftovers(folder: Path) -> None:
    """Remove what programs that were killed left half written below `folder`, in which no other may be writing."""
    for path in list(everything_in(folder)):
        if re.match(r"\.[0-9a-f]{32}\.", path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def everything_in(folder: Path) -> Iterator[Path]:
    """Yield every file and folder below a folder, but for what vanishes meanwhile; no link is followed."""
    for root, folders, files in os.walk(folder):
        yield from (Path(root, name) for name in (*folders, *files))


def _seal_of(path: Path) -> Path:
    return path.with_name(path.name + SEAL)


def _sealing(path: Path, digest: str) -> str:
    return f"{digest}  {path.name}\n"


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


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
