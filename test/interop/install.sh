#!/usr/bin/env bash
# Creates .venv from requirements.txt unless it is up to date.
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
