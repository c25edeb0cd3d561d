#!/usr/bin/env bash
# Compares with the Python libraries that our files are meant for. Makes its own virtual environment once.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v python3 >/dev/null || { echo 'test:interop needs python3' >&2; exit 1; }
venv=.venv
wanted=test/interop/requirements.txt
if ! cmp -s "$wanted" "$venv/requirements.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  # torch by itself first: with it there, nothing pulls in a build for GPUs
  "$venv/bin/pip" install -qq --disable-pip-version-check "$(grep '^torch==' "$wanted")"
  "$venv/bin/pip" install -qq --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$venv/requirements.txt"
fi
# Two files at a time: most of the time, one core imports a library or starts a program.
OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 exec "$venv/bin/python" -m pytest -q -p no:cacheprovider -n 2 --dist loadfile test/interop "$@"
