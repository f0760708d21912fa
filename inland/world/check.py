"""Proves that the towns can run on this machine: SUMO imports and a GL context opens.

``python -m inland.world.check`` says so and exits 0, or names what is missing and exits 1. It is part of `make setup`.
"""

from __future__ import annotations

import os
import subprocess
import sys

_SUMO = "import libsumo; print(libsumo.__file__)"
_CAMERA = (
    "import moderngl\n"
    "context = moderngl.create_standalone_context(backend='egl')\n"
    "print(context.info['GL_RENDERER'], context.version_code)"
)
_TRAINING = "import torch; print(torch.__version__)"

PACKAGES = "libgl1 libegl1 libgl1-mesa-dri libx11-6 libxext6 libxrender1 libatomic1"
"""The Debian packages that a minimal system lacks."""


def check_machine() -> dict[str, tuple[bool, str]]:
    """Try simulator, camera and torch, each in a process of its own.

    Returns for each whether it works and what it said (its version, or the last line of its error).
    """
    found: dict[str, tuple[bool, str]] = {}
    environment = {**os.environ, "LIBSUMO_AS_TRACI": "quiet", "MESA_SHADER_CACHE_DISABLE": "1"}
    for name, code in (("simulator", _SUMO), ("camera", _CAMERA), ("training", _TRAINING)):
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
        said = (run.stdout if run.returncode == 0 else run.stderr).strip().splitlines()
        found[name] = (run.returncode == 0, said[-1] if said else f"exit status {run.returncode}")
    return found


def main() -> int:
    """Print what works; return 0 if all does."""
    found = check_machine()
    for name, (works, said) in found.items():
        print(f"{name}: {'ok' if works else 'DOES NOT WORK'}: {said}", file=sys.stderr)
    if not all(works for works, _ in found.values()):
        print(f"If a library is missing, on Debian or Ubuntu install: {PACKAGES}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
