#!/bin/sh
# `npm run test:nat`: what takes too long for `npm test`. Arguments go to the table of pairs, and then
# the table is all that runs. Fails when any part failed.
set -u
cd "$(dirname "$0")/.." || exit 1
node dist/lab/nat-all.js "$@"
pairs=$?
[ $# -eq 0 ] || exit "$pairs"
WEFT_NAT=full node_modules/.bin/vitest run --config vitest.kernel.config.ts \
  test/netns/nat-idle.test.ts test/netns/nat-burnt-port.test.ts test/netns/nat-aggressive.test.ts \
  test/netns/bridge-storm.test.ts
[ $? -eq 0 ] && exit "$pairs"
exit 1
