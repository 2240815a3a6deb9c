"""What a run was made with: versions, commit and hashes, as far as they are known when the report is written."""

import platform
import shutil
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from gan.files import sha256

PACKAGES = {
    "torch": "torch",
    "nnU-Net": "nnunetv2",
    "Snakemake": "snakemake",
    "SimpleITK": "SimpleITK",
    "NumPy": "numpy",
    "SciPy": "scipy",
    "pandas": "pandas",
}
ROOT = Path(__file__).parents[2]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on most."""
    found = {"Python": platform.python_version()} | {name: version(package) for name, package in PACKAGES.items()}
    return found | {"System": f"{platform.system()} {platform.machine()}"}


def commit(root: Path = ROOT) -> str | None:
    """Return git's commit of the project in `root`, marked where files differ from it; None where there is none."""
    git = shutil.which("git")
    if git is None:
        return None

    def ask(*question: str) -> str | None:
        done = subprocess.run([git, "-C", str(root), *question], capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout.strip() if done.returncode == 0 else None

    top = ask("rev-parse", "--show-toplevel")
    found = ask("rev-parse", "HEAD") if top and Path(top).resolve() == root.resolve() else None
    return f"{found} with changes that are not committed" if found and ask("status", "--porcelain") else found


def hashes(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of files, by path."""
    return {path.as_posix(): sha256(path) for path in paths}
