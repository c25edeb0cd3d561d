#!/usr/bin/env bash
# Runs the tests of the WebGPU backend without a GPU: on SwiftShader (Vulkan on a CPU) from Debian's package chromium-common, and
# with the npm package webgpu, both kept in .cache/webgpu. Where they cannot be had, it says so and succeeds.
# SwiftShader has no float16, so the tests that need it run once more on lavapipe, Mesa's Vulkan on a CPU, from Debian testing.
# GPT_TEST_GPU=1 uses the GPU of this computer instead; GPT_TEST_REQUIRED=1 fails where tests would be skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PWD/node_modules/.bin:$PATH # the Node that gpt runs on

cache=$PWD/.cache/webgpu
lib=$cache/chromium/usr/lib/chromium
lavapipe=$cache/lavapipe

skip() {
  echo "the tests of the WebGPU backend are skipped: $1"
  [[ -z ${GPT_TEST_REQUIRED:-} ]] || exit 1
  exit 0
}

skip_float16() {
  echo "the tests in float16 are skipped: $1"
  [[ -z ${GPT_TEST_REQUIRED:-} ]] || exit 1
  exit 0
}

# Bash ignores `set -e` in a function whose result is tested, so each command says what follows its failure. What was fetched
# has its name only once it is complete.
get_swiftshader() {
  [[ -f $lib/libvk_swiftshader.so ]] && return
  cd "$cache" || return
  rm -rf chromium chromium.part chromium-common_*.deb
  apt-get download --quiet chromium-common || { apt-get update --quiet && apt-get download --quiet chromium-common; } || return
  dpkg -x chromium-common_*.deb chromium.part || return
  rm chromium-common_*.deb || return
  mv chromium.part chromium
}

# Debian's own mirror, from the sources of this system.
mirror() {
  apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' | sed -n 's/^Debian //p' | head -n 1
}

# Mesa with all that it needs, down to the C library, unpacked beside the system's own (75 MB of packages and 10 MB of their index).
get_lavapipe() {
  [[ -f $lavapipe/complete ]] && return
  local from apt=$cache/apt part=$lavapipe.part package
  from=$(mirror) || return
  [[ -n $from ]] || return
  rm -rf "$apt" "$part" "$lavapipe" || return
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$part" || return
  touch "$apt/status" || return
  echo "deb $from testing main" >"$apt/sources.list" || return
  local options=(
    -o Dir::State="$apt" -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache"
    -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Acquire::Languages=none
    -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false -o Debug::NoLocking=true -o APT::Sandbox::User=
  )
  apt-get "${options[@]}" update --quiet=2 || return
  apt-get "${options[@]}" install --quiet=2 --yes --download-only --no-install-recommends mesa-vulkan-drivers libstdc++6 || return
  for package in "$apt"/cache/archives/*.deb; do dpkg -x "$package" "$part" || return; done
  rm -rf "$apt" || return
  touch "$part/complete" || return
  mv "$part" "$lavapipe"
}

# Its libraries are newer than this system's, so Node is started by the loader that they come with, and must be told its own path.
start_lavapipe() {
  local driver loader libraries
  driver=$(echo "$lavapipe"/usr/lib/*/libvulkan_lvp.so)
  libraries=$(dirname "$driver")
  loader=$(echo "$libraries"/ld-linux-*.so.*)
  printf '{"ICD":{"api_version":"1.4.0","library_path":"%s"},"file_format_version":"1.0.1"}' "$driver" >"$lavapipe/icd.json"
  printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$loader" "$libraries" "$(node -p process.execPath)" >"$lavapipe/node"
  chmod +x "$lavapipe/node"
  echo "process.execPath = '$lavapipe/node';" >"$lavapipe/exec-path.mjs"
  unset LD_LIBRARY_PATH
  export VK_ICD_FILENAMES=$lavapipe/icd.json NODE_OPTIONS="--import \"$lavapipe/exec-path.mjs\"" MESA_SHADER_CACHE_DIR=$cache/shaders
  "$lavapipe/node" --input-type=module -e "
    const { create } = await import('$GPT_WEBGPU/index.js');
    const gpu = (globalThis.gpu = create([]));
    const adapter = await gpu.requestAdapter();
    process.exit(adapter?.features.has('shader-f16') ? 0 : 1);
  " 2>"$lavapipe/start.log"
}

mkdir -p "$cache"
if [[ ! -d $cache/node_modules/webgpu ]]; then
  npm install --silent --no-save --fetch-retries 1 --prefix "$cache" webgpu@0.6.2 ||
    skip 'the npm package webgpu cannot be installed'
fi
export GPT_WEBGPU=$cache/node_modules/webgpu
vitest=(node_modules/vitest/vitest.mjs run --config test/webgpu/vitest.config.ts)
if [[ -n ${GPT_TEST_GPU:-} ]]; then exec node "${vitest[@]}" "$@"; fi

[[ $(uname -s) = Linux ]] && command -v apt-get dpkg >/dev/null || skip 'SwiftShader is in a package of Debian'
(get_swiftshader) || skip "Debian's package chromium-common cannot be had"
sed "s#\./libvk#$lib/libvk#" "$lib/vk_swiftshader_icd.json" >"$cache/icd.json"
mkdir -p -m 700 "$cache/run"
export LD_LIBRARY_PATH=$lib VK_ICD_FILENAMES=$cache/icd.json XDG_RUNTIME_DIR=$cache/run
node "${vitest[@]}" "$@"

(get_lavapipe) || skip_float16 "Debian's package mesa-vulkan-drivers cannot be had"
start_lavapipe || skip_float16 "lavapipe cannot be started, or has none: $(tail -n 1 "$lavapipe/start.log")"

names_tests() { [[ " $*" =~ \ [^-\ ] ]]; } # anything but options
names_tests "$@" || set -- test/webgpu/float16 test/webgpu/subgroup-matrices "$@"
"$lavapipe/node" "${vitest[@]}" "$@"
