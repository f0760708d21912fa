"""Runs the benchmarks and keeps each result with commit and machine: ``make bench`` or ``python -m benchmarks NAME``.

Every benchmark is a module with ``run() -> dict``; the dict's ``targets`` are rows of name, value, target and whether
it is met.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# As the command line does: torch's threads that spin while they wait run several times slower beside anything else.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ALL = ("world", "training", "expert", "driving")
RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next(
            (line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line), ""
        )
    return {"cpu": model or platform.processor(), "cores": os.cpu_count(), "python": platform.python_version()}


def commit() -> str:
    """The commit measured, with ``+`` where the tree has uncommitted changes."""
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    dirty = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False)
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def main() -> int:
    """Run the named benchmarks (all by default); return 1 if one could not run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[], help=f"some of: {', '.join(ALL)}")
    names = parser.parse_args().names or ALL
    failed = 0
    for name in names:
        print(f"benchmark {name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            result = importlib.import_module(f"benchmarks.{name}").run()
        except Exception as error:  # one benchmark that cannot run must not hide the others
            print(f"benchmark {name} could not run: {error}", file=sys.stderr)
            failed += 1
            continue
        record = {
            "benchmark": name,
            "command": f"python -m benchmarks {name}",
            "commit": commit(),
            "day": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": machine(),
            "seconds": round(time.monotonic() - began, 1),
            **result,
        }
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1, sort_keys=False) + "\n")
        for row in result.get("targets", []):
            print(f"  {row['name']}: {row['value']} (target {row['target']}) {'met' if row['met'] else 'NOT MET'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
