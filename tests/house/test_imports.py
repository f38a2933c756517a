"""Who may import what: libraries with sharp edges in one place each, and the independent verifier on its own feet.

Layers are contracts in pyproject.toml; the last tests break them on purpose, to see that the checks bite.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.sources import ROOT, imports_of, name_of, python_files

SAMPLES = "scripts/samples.py"
"""Makes the vectors: its keys come from published seeds, and it signs with the library that the verifier reads with."""
PLACES = {
    "tortoise.transactions": {"server/storage/uow.py"},
    "ecdsa": {"scripts/verifier/signatures.py", "scripts/vector_cases/curve_edges.py", SAMPLES},
    "cryptography": {
        "server/record/box.py",
        "server/record/signature.py",
        "server/storage/vault.py",
        "server/node/transport.py",
        "scripts/keys.py",
        SAMPLES,
    },
    "jwt": {"server/api/session.py"},
    "PIL": {"server/gateway/photo_cleaning.py", "server/gateway/paper/pixels.py", "scripts/demo_estate.py"},
    "pi_heif": {"server/gateway/photo_cleaning.py"},
    "redis": {"server/gateway/cache.py"},
    "openpyxl": {"server/gateway/roster_xlsx.py"},
    "fpdf": {"server/gateway/paper/document.py"},
    "segno": {"server/gateway/paper/document.py"},
    "zxingcpp": {"server/gateway/paper/placement.py"},
    "pypdfium2": {"server/gateway/paper/scans.py"},
    "numpy": {f"server/gateway/paper/{name}.py" for name in ("pixels", "placement", "marks", "reading", "scans")},
    "unittest.mock": set(),
    "aioredis": set(),
}
BEFORE_THE_ENVIRONMENT = ("scripts/environment.py", "scripts/machine.py", "scripts/build.py", "scripts/check.py")


def uses(path: Path, library: str) -> bool:
    return any(module == library or module.startswith(f"{library}.") for module in imports_of(path))


@pytest.mark.parametrize("library", PLACES)
def test_a_library_is_imported_in_its_place_only(library: str) -> None:
    importers = {name_of(path) for path in python_files("server", "scripts") if uses(path, library)}
    assert importers <= PLACES[library]


def test_the_verifier_shares_no_code_with_what_it_verifies() -> None:
    verifier = [path for path in python_files("scripts") if path.stem == "verify" or path.parent.name == "verifier"]
    roots = {module.partition(".")[0] for path in verifier for module in imports_of(path)}
    assert roots <= {"verifier", "ecdsa"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", BEFORE_THE_ENVIRONMENT)
def test_what_makes_the_environment_needs_nothing_but_python(name: str) -> None:
    own = {Path(other).stem for other in BEFORE_THE_ENVIRONMENT}
    roots = {module.partition(".")[0] for module in imports_of(ROOT / name)}
    assert roots <= own | set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("ledger/block.py", "import asyncio", "pure"),
        ("domain/motion.py", "def late():\n    from datetime import datetime", "pure"),
        ("storage/tables.py", "import server.api.session", "go down only"),
        ("storage/tables.py", "import server.gateway.clock", "go down only"),
        ("api/records.py", "import redis", "Redis"),
        ("node/driver.py", "import ecdsa", "second verifier"),
    ],
)
def test_a_layer_crossed_is_found(tmp_path: Path, file: str, line: str, contract: str) -> None:
    for folder in ("api", "node", "storage", "gateway", "domain", "consensus", "ledger", "record"):
        (tmp_path / "server" / folder).mkdir(parents=True)
        (tmp_path / "server" / folder / "__init__.py").touch()
    for empty in ("__init__.py", "limits.py", "api/session.py", "gateway/clock.py"):
        (tmp_path / "server" / empty).touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert lint_imports(tmp_path).returncode == 0
    (tmp_path / "server" / file).write_text(line)
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert contract in " ".join(text for text in done.stdout.splitlines() if "BROKEN" in text)


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("from tortoise.transactions import in_transaction\n", "TID251"),
        ("try:\n    call()\nexcept Exception:\n    pass\n", "BLE001"),
        ("from unittest import mock\n", "TID251"),
        ("from . import motion\n", "TID252"),
    ],
)
def test_a_banned_habit_is_found(code: str, rule: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename=server/node/loop.py", "--output-format=concise"]
    done = subprocess.run([*command, "-"], cwd=ROOT, input=code, capture_output=True, text=True)
    assert rule in done.stdout


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
