"""The source files that a module runs, found without importing anything: what a result must be remade for."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REGISTRIES = {"gan.methods", "enrich.datasets"}  # they import every method and reader, of which a study runs some


def sources(*modules: str, packages: tuple[str, ...] = ("gan", "enrich")) -> list[Path]:
    """Return the files of `modules` and of all that they import from `packages`, sorted, relative to the project root.

    Imports inside functions count. The registries are left out: whoever runs a method or a reader names its module.

    Raises:
        ModuleNotFoundError: one of `modules` is not a module of `packages`.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if file is None and name in modules:
            raise ModuleNotFoundError(name, name=name)
        if file is None or name in found or name in REGISTRIES or name.split(".")[0] not in packages:
            continue
        found[name] = file
        waiting += [name.rpartition(".")[0], *_imports(name, file)]
    return sorted(file.relative_to(ROOT) for file in found.values())


def training_sources(method: str) -> list[Path]:
    """Return the files that training `method`, a name of the registry, runs."""
    return sources("gan.train", f"gan.methods.{method}")


def _file(module: str) -> Path | None:
    """Return the file of a module or package of the project, None if there is none."""
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _parsed(file: Path, changed_ns: int) -> tuple[ast.Import | ast.ImportFrom, ...]:  # noqa: ARG001
    return tuple(
        node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Import | ast.ImportFrom)
    )


def _imports(module: str, file: Path) -> Iterator[str]:
    """Yield the absolute names that a module imports: modules, and what may be modules or names in them."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in _parsed(file, file.stat().st_mtime_ns):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            continue
        base = node.module or ""
        if node.level:
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*parents, *([base] if base else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)
