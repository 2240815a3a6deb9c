"""Fetch an archive of scans from its public record, check it, and unpack it into a folder of its own.

A download that breaks off goes on where it stopped, also in a later run: what has arrived lies beside the folder, as
`<folder>.zip.part`. Nothing is unpacked before the whole archive has the expected hash. `<folder>/download.json`
records that hash, and a folder with this record is done.
"""

import argparse
import errno
import http.client
import json
import logging
import lzma
import stat
import struct
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from http import HTTPStatus
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from gan.errors import InputError, run
from gan.files import publish, publish_folder, sha256

ATTEMPTS = 5  # in a row without a further byte
WAIT_S = 2.0
TIMEOUT_S = 60
CHUNK = 1 << 20
RECORD = "download.json"
LARGEST_COUNT = 1_000_000  # files in an archive
LARGEST_RATIO = 100  # of unpacked to packed bytes; scans reach about 4

logger = logging.getLogger(__name__)
UNREADABLE = (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, struct.error)
"""What zipfile raises: for no archive, a name that is none, a password, a packing that it lacks."""


def fetch(url: str, partial: Path, wait_s: float = WAIT_S) -> None:
    """Download `url` to `partial`, going on after what lies there; its hash tells whether that began the same file.

    Raises:
        InputError: the server refuses, or five attempts in a row bring nothing.
    """
    partial.parent.mkdir(parents=True, exist_ok=True)
    attempts = 0
    while True:
        before = partial.stat().st_size if partial.is_file() else 0
        try:
            if _go_on(url, partial, before):
                return
            reason = "the connection broke off"
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                return  # nothing comes after what lies there
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code != HTTPStatus.TOO_MANY_REQUESTS:
                raise InputError(url, f"HTTP status {error.code}", "the archive") from error
            reason = f"HTTP status {error.code}"
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        now = partial.stat().st_size if partial.is_file() else 0
        attempts = 0 if now > before else attempts + 1
        if attempts == ATTEMPTS:
            raise InputError(url, f"{now} bytes, then {reason}", f"the whole archive; {partial} is kept to go on from")
        logger.info("%s after %d bytes: going on", reason, now)
        time.sleep(wait_s * attempts)


def _go_on(url: str, partial: Path, start: int) -> bool:
    """Append what the server has from byte `start` on; return whether that was all."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        resumed = answer.status == HTTPStatus.PARTIAL_CONTENT
        length = answer.headers.get("Content-Length")
        first = start if resumed else 0
        total = None if length is None else first + int(length)
        with (
            partial.open("ab" if resumed else "wb") as stream,
            tqdm(total=total, initial=first, unit="B", unit_scale=True, disable=None) as bar,
        ):
            while chunk := answer.read(CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))
            return total is None or stream.tell() == total


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ZIP archive into an empty folder; nothing may land outside it.

    Raises:
        InputError: no ZIP archive, a member with a path that leaves the folder or that is no plain file, or members
            that would take far more room than scans do.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = content.infolist()
            for member in members:
                path, kind = PurePosixPath(member.filename.replace("\\", "/")), member.external_attr >> 16
                if not path.name or path.is_absolute() or ".." in path.parts or stat.S_ISLNK(kind):
                    raise InputError(archive, f"the member {member.filename!r}", "files below the archive's own folder")
            if len(members) > LARGEST_COUNT:
                raise InputError(archive, f"{len(members)} members", f"at most {LARGEST_COUNT}")
            size = sum(member.file_size for member in members)
            if size > LARGEST_RATIO * archive.stat().st_size:
                raise InputError(archive, f"{size} bytes unpacked", f"at most {LARGEST_RATIO} times the archive's size")
            content.extractall(folder)
    except InputError:
        raise
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise InputError(archive, f"an unreadable archive ({error})", "a ZIP archive") from error


def download(url: str, digest: str, folder: Path) -> None:
    """Fetch, check and unpack the archive at `url` whose SHA-256 is `digest`, as `folder`, unless that is there.

    Raises:
        InputError: what `fetch` and `unpack` raise; an archive of another hash, which is deleted; a folder with
            other files.
    """
    if _is_there(digest, folder / RECORD):
        logger.info("%s: the archive was unpacked here before", folder)
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(folder, "a folder with files", "a new or an empty one for the archive")
    partial = folder.with_name(f"{folder.name}.zip.part")
    if not (partial.is_file() and sha256(partial) == digest):
        fetch(url, partial)
        _require(url, partial, digest)
    with publish_folder(folder) as temporary:
        unpack(partial, temporary)
        with publish(temporary / RECORD) as record:
            record.write_text(json.dumps({"url": url, "sha256": digest}, indent=2) + "\n")
    partial.unlink()


def _is_there(digest: str, record: Path) -> bool:
    """Return whether the folder of a record holds the archive of that hash; a folder without a record does not."""
    try:
        return bool(json.loads(record.read_text())["sha256"] == digest)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(record, "no readable file", "what a download wrote") from error


def _require(url: str, partial: Path, digest: str) -> None:
    if (found := sha256(partial)) != digest:
        partial.unlink()
        raise InputError(url, f"sha256 {found} of what arrived (now deleted)", digest)


def main() -> None:
    """Parse the command line and download."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description="Fetch, check and unpack an archive of scans.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--sha256", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="a new one, or one that this program filled")
    arguments = parser.parse_args()
    download(arguments.url, arguments.sha256, arguments.folder)


if __name__ == "__main__":
    run(main)
