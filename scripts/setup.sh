#!/bin/sh
# Sets up .venv with the pinned packages and proves that the simulator and the camera can run.
set -eu
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
NEEDED="libgl1 libegl1 libgl1-mesa-dri libx11-6 libxext6 libxrender1 libatomic1"

say() { printf '%s\n' "$*" >&2; }

if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "Inland needs Python 3.11 or newer; '$PYTHON' is not. Run: make setup PYTHON=python3.11"
    exit 1
fi
if ! "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null; then
    say "This Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv"
    exit 1
fi

[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
say "Installing the pinned packages (about 2.5 GB, a minute or two where they come fast) ..."
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e .

if "$VENV/bin/python" -m inland.world.check; then
    exit 0
fi
# Something that only the system can give is missing. Install it where we may, else say exactly what.
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    say "Installing system libraries: $NEEDED"
    apt-get update -qq >&2 || say "apt-get update failed; trying with the lists that are here"
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $NEEDED >&2 || true
    if "$VENV/bin/python" -m inland.world.check; then
        exit 0
    fi
fi
say "The towns need these system libraries. On Debian or Ubuntu:"
say "    sudo apt-get install --no-install-recommends $NEEDED"
exit 1
