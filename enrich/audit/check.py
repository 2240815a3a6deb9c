"""What a check found, and the files that it looked at: each hashed once."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from gan.errors import InputError
from gan.files import require_sealed, sha256


class Files:
    """The files that the audit read.

    Attributes:
        digests: SHA-256 of each, by real path.
    """

    def __init__(self, workers: int = 1) -> None:
        """Read nothing yet; `workers` threads read at once."""
        self.digests: dict[str, str] = {}
        self._workers = workers

    def sha256(self, path: Path) -> str:
        """Return a file's SHA-256.

        Raises:
            InputError: no such file.
        """
        real = os.path.realpath(path)
        if real not in self.digests:
            if not Path(real).is_file():
                raise InputError(path, "no such file", "one that was recorded")
            self.digests[real] = sha256(Path(real))
        return self.digests[real]

    def prefetch(self, paths: Iterable[Path]) -> None:
        """Hash those of `paths` that exist, several at once."""
        reals = {os.path.realpath(path) for path in paths} - self.digests.keys()
        found = [real for real in sorted(reals) if Path(real).is_file()]
        with ThreadPoolExecutor(self._workers) as pool:
            self.digests.update(zip(found, pool.map(lambda real: sha256(Path(real)), found), strict=True))

    def relative_to(self, folder: Path) -> dict[str, str]:
        """Return the digests by path relative to `folder`, sorted."""
        root = os.path.realpath(folder)
        return dict(sorted((os.path.relpath(real, root), digest) for real, digest in self.digests.items()))


class Check:
    """One claim, and everything that contradicts it.

    Attributes:
        name: of the check.
        proves: the claim, in a sentence.
        examined: how many facts were compared.
        found: what contradicts it, a line each.
    """

    def __init__(self, name: str, proves: str, files: Files) -> None:
        """Begin with nothing examined."""
        self.name, self.proves, self.examined = name, proves, 0
        self.found: list[str] = []
        self.files = files

    def require(self, holds: bool, where: str | Path, found: object, expected: object) -> bool:
        """Note a fact: unless it holds, what was found `where` and what was expected; return whether it holds."""
        self.examined += 1
        if not holds:
            self._note(str(InputError(where, found, expected)))
        return holds

    def require_file(self, path: Path, digest: object, record: str | Path) -> bool:
        """Require that a file is there and is the one whose SHA-256 is in `record`; return whether it is."""
        try:
            found = self.files.sha256(path)
        except InputError:
            return self.require(False, path, "no such file", f"the file that {record} names")
        return self.require(found == digest, path, f"sha256 {found[:12]}…", f"{str(digest)[:12]}… as {record} says")

    def require_sealed(self, path: Path) -> None:
        """Require that a file is there and is the one of the seal beside it."""
        with self.reading():
            require_sealed(path, self.files.sha256(path))
            self.examined += 1

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Note an `InputError`, such as of a file that is missing, as a fact that contradicts the claim."""
        try:
            yield
        except InputError as error:
            self.examined += 1
            self._note(str(error))

    def _note(self, line: str) -> None:
        if line not in self.found:
            self.found.append(line)

    def as_json(self) -> dict[str, object]:
        """Return what `audit.json` says of it."""
        facts = {"name": self.name, "proves": self.proves, "examined": self.examined}
        return facts | {"passed": not self.found, "found": self.found}
