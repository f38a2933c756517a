"""Write what follows from the declarations: the API's description, the schemas of record kinds, the typed client.

python3 scripts/generate.py            write what changed
python3 scripts/generate.py --check    write nothing; exit 1 when something committed is not what would be written
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import environment

if __name__ == "__main__":
    environment.reexec_in_environment()

from server.api.app import described
from server.api.docs import render_json
from server.api.openapi import describe_kind
from server.api.typescript import render_client
from server.domain import KINDS

ROOT = Path(__file__).resolve().parent.parent
RECORDS = "schemas/records"


def generate() -> Mapping[str, bytes]:
    """Every generated file by its path from the project's root."""
    files = {f"{RECORDS}/{name}.json": render_json(describe_kind(kind)) for name, kind in sorted(KINDS.items())}
    files["schemas/openapi.json"] = render_json(described())
    files["miniapp/src/services/generated.ts"] = render_client(described()).encode()
    return files


def find_stale(files: Mapping[str, bytes]) -> list[str]:
    """Paths whose content differs from what is generated, and schemas of kinds that are no more."""
    stale = [path for path, data in files.items() if not _holds(ROOT / path, data)]
    left = [f"{RECORDS}/{path.name}" for path in sorted((ROOT / RECORDS).glob("*.json"))]
    return sorted([*stale, *(path for path in left if path not in files)])


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def write(files: Mapping[str, bytes], stale: list[str]) -> None:
    """Bring the stale paths up to date."""
    for name in stale:
        path = ROOT / name
        if name in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
        else:
            path.unlink()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    arguments = parser.parse_args()
    files = generate()
    stale = find_stale(files)
    if not arguments.check:
        write(files, stale)
    for path in stale:
        print(f"{'differs' if arguments.check else 'written'}: {path}")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
