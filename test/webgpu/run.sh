#!/usr/bin/env bash
# Runs the tests of the WebGPU backend without a GPU: on SwiftShader (Vulkan on a CPU) from Debian's package chromium-common, and
# with the npm package webgpu, both kept in .cache/webgpu. Where they cannot be had, it says so and succeeds.
# GPT_TEST_GPU=1 uses the GPU of this computer instead.
set -euo pipefail
cd "$(dirname "$0")/../.."

cache=$PWD/.cache/webgpu
lib=$cache/chromium/usr/lib/chromium

skip() {
  echo "the tests of the WebGPU backend are skipped: $1"
  exit 0
}

get_swiftshader() {
  [[ -f $lib/libvk_swiftshader.so ]] && return
  cd "$cache"
  apt-get download --quiet chromium-common || { apt-get update --quiet && apt-get download --quiet chromium-common; }
  dpkg -x chromium-common_*.deb chromium
  rm chromium-common_*.deb
}

mkdir -p "$cache"
if [[ ! -d $cache/node_modules/webgpu ]]; then
  npm install --silent --no-save --fetch-retries 1 --prefix "$cache" webgpu@0.6.2 ||
    skip 'the npm package webgpu cannot be installed'
fi
export GPT_WEBGPU=$cache/node_modules/webgpu
if [[ -z ${GPT_TEST_GPU:-} ]]; then
  [[ $(uname -s) = Linux ]] && command -v apt-get dpkg >/dev/null || skip 'SwiftShader is in a package of Debian'
  (get_swiftshader) || skip "Debian's package chromium-common cannot be had"
  sed "s#\./libvk#$lib/libvk#" "$lib/vk_swiftshader_icd.json" >"$cache/icd.json"
  mkdir -p -m 700 "$cache/run"
  export LD_LIBRARY_PATH=$lib VK_ICD_FILENAMES=$cache/icd.json XDG_RUNTIME_DIR=$cache/run
fi
npx vitest run --config test/webgpu/vitest.config.ts "$@"
