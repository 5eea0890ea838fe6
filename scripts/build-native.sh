#!/bin/sh
# Builds build/Release/weft.node. Does nothing when neither the sources nor Node changed.
set -eu
cd "$(dirname "$0")/.."

stamp=build/weft.stamp
addon=build/Release/weft.node

# what the addon is made of: sources, recipe, Node's version and binary interface, the machine
fingerprint() {
  {
    find native/addon native/engine -maxdepth 1 -type f \( -name '*.cc' -o -name '*.h' \) | LC_ALL=C sort |
      xargs sha256sum
    sha256sum binding.gyp
    node -p 'process.version + " " + process.versions.modules + " " + process.arch'
  } | sha256sum | cut -d ' ' -f 1
}

now=$(fingerprint)
if [ -f "$addon" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$now" ]; then
  echo "native engine: up to date"
  exit 0
fi

# Node's headers lie beside the running Node in most installations; else node-gyp fetches them
prefix=$(node -p 'require("path").resolve(process.execPath, "../..")')
set -- configure build --release --jobs max
if [ -f "$prefix/include/node/node_api.h" ]; then
  set -- "$@" "--nodedir=$prefix"
fi

echo "native engine: compiling (about a minute)"
mkdir -p build
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if ! node node_modules/node-gyp/bin/node-gyp.js "$@" >"$log" 2>&1; then
  cat "$log" >&2
  echo "native engine: the compiler failed, see above" >&2
  exit 1
fi
grep -E 'warning:' "$log" >&2 || true
mkdir -p build
printf '%s\n' "$now" >"$stamp"
