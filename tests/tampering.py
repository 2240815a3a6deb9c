"""A finished run whose files are changed, and the programs of its rules run again on them, one by one.

They run in forks of one process that has loaded what they import, since most of their time would be that.
"""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
State = dict[Path, tuple[int, int]]


@dataclass(frozen=True)
class Job:
    """A job as `snakemake --dry-run --printshellcmds` lists it; paths are relative to the project.

    Attributes:
        rule: its name.
        inputs: files below `results`.
        outputs: all of them.
        command: the module, and its arguments.
    """

    rule: str
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    command: tuple[str, ...]


def listed_jobs(said: str) -> list[Job]:
    """Return the jobs of a listing that run a program."""
    text = r"^rule (\w+):\n    input: (.*)\n    output: (.*)\n(?:    .*\n)*Shell command: python -m (.*) > \S+ 2>&1$"
    return [
        Job(
            rule,
            tuple(path for path in map(Path, inputs.split(", ")) if path.parts[0] == "results"),
            tuple(map(Path, outputs.split(", "))),
            tuple(shlex.split(command)),
        )
        for rule, inputs, outputs, command in re.findall(text, said, re.MULTILINE)
    ]


def readers(jobs: list[Job]) -> Iterator[tuple[Job, Path]]:
    """Yield a job and an input for every rule and every rule that made an input of it."""
    maker = {path: job.rule for job in jobs for path in job.outputs}
    seen = set()
    for job in jobs:
        for path in job.inputs:
            pair = job.rule, maker[path], path.suffix
            if pair not in seen:
                seen.add(pair)
                yield job, path


def flipped(content: bytes) -> bytes:
    """Return content with one bit in its middle changed."""
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def padded(content: bytes) -> bytes:
    """Return content with a line's end after it, which says the same to who parses it: its hash alone tells."""
    return content + b"\n"


def truncated(content: bytes) -> bytes:
    """Return the first half of content."""
    return content[: len(content) // 2]


def state(folder: Path) -> State:
    """Return size and time of every file."""
    found = {path: path.stat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    return {path: (facts.st_size, facts.st_mtime_ns) for path, facts in found.items()}


@contextmanager
def changed(path: Path, whole: Path, damage: Callable[[bytes], bytes]) -> Iterator[None]:
    """Damage a file, which is a link to a whole one, and link it again in the end."""
    path.unlink()
    path.write_bytes(damage(whole.read_bytes()))
    yield
    path.unlink()
    os.link(whole, path)


class Programs:
    """Runs programs in a folder."""

    def __init__(self, folder: Path, modules: list[str]) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.tampering", *modules],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, command: tuple[str, ...]) -> tuple[int, str]:
        """Return the exit code of a program, and what it wrote to its standard error."""
        print(json.dumps(command), file=self._process.stdin, flush=True)
        code, said = json.loads(self._process.stdout.readline())
        return code, said

    def close(self) -> None:
        self._process.communicate()


def main() -> None:
    """Load modules, and run the commands that are given line by line, each in a fork."""
    from gan.errors import run

    loaded = {name: _load(name) for name in sys.argv[1:]}
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(writing, sys.stderr.fileno())
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.argv = [name, *arguments]
            try:
                run(loaded[name].main)
            except SystemExit as end:
                sys.stderr.write(f"{end.code}\n")
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as stream:
            said = stream.read()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(json.dumps([code, said]) + "\n")
        sys.stdout.flush()


def _load(name: str):
    module = importlib.import_module(name)
    return importlib.import_module(f"{name}.__main__") if hasattr(module, "__path__") else module


if __name__ == "__main__":
    main()
