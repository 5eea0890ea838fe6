#!/bin/sh
# scripts/prebuild.sh x64|arm64: build/prebuilds/linux-ARCH/weft.node, the addon for machines without a
# compiler. Another architecture than this machine's takes Debian's cross compiler. Does nothing
# when neither the sources nor Node changed.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
arch=${1:-}
case $arch in
  x64) triple=x86_64-linux-gnu ;;
  arm64) triple=aarch64-linux-gnu ;;
  *)
    echo "usage: scripts/prebuild.sh x64|arm64" >&2
    exit 2
    ;;
esac
tools=$triple-
[ "$(node -p process.arch)" != "$arch" ] || tools=
if ! command -v "${tools}g++" >/dev/null; then
  echo "prebuild $arch: ${tools}g++ is missing: apt-get install g++${tools:+-$triple}" >&2
  exit 1
fi

out=build/prebuilds/linux-$arch
stamp=$out/stamp
now=$({
  find native/addon native/engine -maxdepth 1 -type f \( -name '*.cc' -o -name '*.h' \) | LC_ALL=C sort |
    xargs sha256sum
  sha256sum binding.gyp scripts/prebuild.sh
  node -p process.version
  "${tools}g++" --version
} | sha256sum | cut -d ' ' -f 1)
if [ -f "$out/weft.node" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$now" ]; then
  echo "prebuild $arch: up to date"
  exit 0
fi

# node-gyp builds in ./build only, which belongs to this machine's own addon
stage=build/prebuild-$arch
rm -rf "$stage"
mkdir -p "$stage" "$out"
ln -s "$root/native" "$stage/native"
ln -s "$root/node_modules" "$stage/node_modules"
cp binding.gyp package.json "$stage"
prefix=$(node -p 'require("path").resolve(process.execPath, "../..")')
set -- rebuild --release --jobs max --arch="$arch"
[ ! -f "$prefix/include/node/node_api.h" ] || set -- "$@" "--nodedir=$prefix"

echo "prebuild $arch: compiling"
if ! (cd "$stage" && CC=${tools}gcc CXX=${tools}g++ AR=${tools}ar \
  node "$root/node_modules/node-gyp/bin/node-gyp.js" "$@" >log 2>&1); then
  cat "$stage/log" >&2
  echo "prebuild $arch: the compiler failed, see above" >&2
  exit 1
fi
"${tools}strip" --strip-unneeded -o "$out/weft.node" "$stage/build/Release/weft.node"
rm -rf "$stage"
printf '%s\n' "$now" >"$stamp"
