#!/bin/sh
# Writes requirements.lock from a fresh environment with everything that pyproject.toml asks for.
set -eu
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"${PYTHON:-python3}" -m venv "$fresh/venv"
"$fresh/venv/bin/python" -m pip install --quiet ".[dev]"
{
    echo "# Every package of a set-up site, pinned. Made by: make lock"
    # A local version such as +cpu names one build of one index; the lock names the release.
    "$fresh/venv/bin/python" -m pip freeze --exclude inland | sed 's/+cpu$//'
} > requirements.lock
