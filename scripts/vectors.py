"""Make schemas/vectors: the test vectors that every implementation of our formats must agree on.

    python3 scripts/vectors.py           write them
    python3 scripts/vectors.py --check   compare with what is committed; exits 1 when they differ

The output depends on nothing but this program: fixed keys, fixed times, deterministic signatures (RFC 6979, RFC 8032).
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import environment

if __name__ == "__main__":
    environment.reexec_in_environment("dev")

from vector_cases import (
    ballot_keys,
    boxes,
    checkpoints,
    encodings,
    policies,
    proofs,
    receipts,
    records,
    retirements,
    successions,
)

FOLDER = Path(__file__).resolve().parents[1] / "schemas" / "vectors"


def make_vectors() -> dict[str, str]:
    """The text of every vector file by its name."""
    files: dict[str, dict[str, Any]] = {}
    for part in (
        ballot_keys,
        boxes,
        encodings,
        records,
        proofs,
        policies,
        checkpoints,
        receipts,
        successions,
        retirements,
    ):
        files |= part.files()
    return {name: json.dumps(content, indent=1, ensure_ascii=False) + "\n" for name, content in sorted(files.items())}


def differing(folder: Path) -> list[str]:
    """Names of the files in the folder that are missing, stale or not ours."""
    made = make_vectors()
    stale = [name for name, text in made.items() if not (folder / name).is_file() or _read(folder / name) != text]
    return stale + sorted(path.name for path in folder.glob("*.json") if path.name not in made)


def _read(path: Path) -> str:
    return path.read_text("utf-8")


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="vectors.py", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare only")
    if parser.parse_args(arguments).check:
        stale = differing(FOLDER)
        if stale:
            print(f"schemas/vectors differs: {', '.join(stale)}. Run: python3 scripts/vectors.py", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in make_vectors().items():
        (FOLDER / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
