#!/usr/bin/env bash
# Compares with the Python libraries that our files are meant for, in a virtual environment of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."

bash test/interop/install.sh
# Two files at a time: most of the time, one core imports a library or starts a program.
OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 exec .venv/bin/python -m pytest -q -p no:cacheprovider -n 2 --dist loadfile test/interop "$@"
