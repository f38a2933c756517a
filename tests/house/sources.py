"""The files that house tests look at: what git tracks or would track, so that a build's leftovers are not judged."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Every file of the project as it would be committed now, ignored ones left out, in the order of their paths."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = sorted({ROOT / name for name in listed.split("\0") if name})
    return tuple(path for path in paths if path.is_file())


def python_files(*folders: str) -> list[Path]:
    """The Python files beneath these folders of the project."""
    roots = [ROOT / folder for folder in folders]
    return [path for path in project_files() if path.suffix == ".py" and any(root in path.parents for root in roots)]


def texts() -> Iterator[tuple[Path, str]]:
    """Every file that is text, with its text."""
    for path in project_files():
        data = path.read_bytes()
        if b"\0" not in data[:8_192]:
            yield path, data.decode("utf-8", "replace")


def name_of(path: Path) -> str:
    """The path inside the project, as messages show it."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text("utf-8"), str(path))


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports anywhere, dotted; `from a import b` counts as `a` and as `a.b`."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found
