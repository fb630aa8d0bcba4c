#!/bin/sh
# Installs a software Vulkan driver (Mesa's lavapipe, 25 or newer: Debian bookworm's own 22.3 is too old for Dawn) into
# .cache/software-vulkan and prints the environment that selects it. Nothing outside .cache changes; root is not needed.
# Use: eval "$(sh test/setup/software-vulkan.sh)" && npx vitest run test/runtime/webgpu.test.ts
# Where the system has a new enough lavapipe (Ubuntu 24.04: apt install mesa-vulkan-drivers libvulkan1), this is not needed.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
home="$root/.cache/software-vulkan"
apt="$home/apt"
tree="$home/tree"

if [ ! -f "$home/lvp.json" ]; then
  if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "software-vulkan: needs apt-get and dpkg (Debian)" >&2
    exit 1
  fi
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$tree"
  # The system's own mirror, with backports added.
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Release: bookworm' | head -n 1)
  if [ -z "$mirror" ]; then
    echo "software-vulkan: needs Debian bookworm" >&2
    exit 1
  fi
  keys="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
  for suite in bookworm bookworm-backports; do
    echo "deb $keys $mirror $suite main"
  done >"$apt/sources.list"
  run_apt() {
    apt-get -q \
      -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- \
      -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o Debug::NoLocking=1 "$@" >&2
  }
  run_apt update
  run_apt install --download-only --yes --no-install-recommends -t bookworm-backports \
    mesa-vulkan-drivers libvulkan1
  for package in "$apt"/cache/archives/*.deb; do dpkg -x "$package" "$tree"; done
  libraries=$(dirname "$(find "$tree" -name libvulkan_lvp.so)")
  # The driver's description names the library without its place.
  sed "s|\"library_path\": *\".*\"|\"library_path\": \"$libraries/libvulkan_lvp.so\"|" \
    "$tree"/usr/share/vulkan/icd.d/lvp_icd.*json >"$home/lvp.json.partial"
  mkdir -p "$home/runtime"
  chmod 700 "$home/runtime"
  rm -rf "$apt"
  mv "$home/lvp.json.partial" "$home/lvp.json"
fi

libraries=$(dirname "$(find "$tree" -name libvulkan_lvp.so)")
echo "export VK_ICD_FILENAMES='$home/lvp.json'"
echo "export LD_LIBRARY_PATH='$libraries'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
echo "export XDG_RUNTIME_DIR='$home/runtime'"
