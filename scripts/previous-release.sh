#!/bin/sh
# Builds the revision that members of an older version stand for in tests (test/netns/versions.test.ts)
# into .cache/previous/REVISION, its own native engine included, and links .cache/previous/build to
# it. Does nothing when that was done. Without the history (a shallow clone, a tarball) it says so and
# succeeds: the tests that need it are skipped, and counted.
set -eu
cd "$(dirname "$0")/.."

# The newest revision of the minor version before this one; moved at each release.
revision=b42d456d94acc9441da472c513b0839b4d67c87b

say() { printf '%s\n' "previous release: $*"; }
skip() {
  rm -f .cache/previous/build
  say "$*: tests of mixed versions are skipped"
  exit 0
}

place=.cache/previous/$revision
ready="$place/ready-$(node -p 'process.version + process.arch')"
if [ -f "$ready" ] && [ "$(readlink .cache/previous/build)" = "$revision" ]; then
  say "up to date"
  exit 0
fi
git cat-file -e "$revision^{commit}" 2>/dev/null || skip "this checkout has no history of $revision"

say "compiling $(printf %.12s "$revision")"
rm -rf "$place"
mkdir -p "$place"
git archive "$revision" | tar -x -C "$place"
# the same modules: the lock file says which, and a test of versions is about our own code
ln -s "$(pwd)/node_modules" "$place/node_modules"
(cd "$place" && node node_modules/typescript/bin/tsc -b && sh scripts/build-native.sh) ||
  skip "$revision does not compile here"
touch "$ready"
ln -sfn "$revision" .cache/previous/build
