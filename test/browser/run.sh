#!/usr/bin/env bash
# Runs the tests in a browser: in the one that CHROME_PATH names or that is installed, or else in the headless Chromium of
# Debian, which is unpacked under .cache/chromium without being installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

cache=$PWD/.cache/chromium
browser=$cache/chromium

installed() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    command -v "$name" && return
  done
  return 1
}

# Downloads the packages that Chromium needs and this system lacks, and leaves a script that starts it with their libraries.
unpack_chromium() {
  local packages=$cache/packages
  mkdir -p "$packages/partial"
  local options=(-qq -o "Dir::Cache::archives=$packages" -o Debug::NoLocking=1)
  local get=(apt-get "${options[@]}" --no-install-recommends --download-only --yes install chromium-headless-shell)
  "${get[@]}" || { apt-get "${options[@]}" update && "${get[@]}"; }
  local package
  for package in "$packages"/*.deb; do dpkg -x "$package" "$cache/root"; done
  rm -r "$packages"
  local libraries
  libraries=$(find "$cache/root" -name '*.so*' -not -path "$cache/root/usr/lib/chromium/*" -printf '%h\n' | sort -u | paste -sd:)
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$libraries" \
    "$cache/root/usr/lib/chromium/chromium-headless-shell" >"$browser"
  chmod +x "$browser"
}

if [[ -z ${CHROME_PATH:-} ]] && ! installed >/dev/null; then
  if [[ -x $browser ]] || { command -v apt-get dpkg >/dev/null && unpack_chromium; }; then
    export CHROME_PATH=$browser
  else
    echo 'There is no Chromium here, nor one from Debian. CHROME_PATH names one.'
  fi
fi
exec npx vitest run --config test/browser/vitest.config.ts "$@"
