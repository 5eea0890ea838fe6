#!/bin/sh
# Makes a fresh clone ready: scripts/setup.sh demo|test|pack. Run again, it finds everything done.
# Leaves nothing outside the checkout but Debian packages.
set -eu
cd "$(dirname "$0")/.."
mode=${1:-demo}

say() { printf '%s\n' "setup: $*"; }
fail() {
  printf '%s\n' "setup: $*" >&2
  exit 1
}

check_tools() {
  [ "$(uname -s)" = Linux ] || fail "weft runs on Linux; this is $(uname -s)"
  command -v node >/dev/null || fail "Node 20.19 or newer is needed; no node in PATH"
  node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);
  ' || fail "Node 20.19 or newer is needed; this is $(node --version)"
  command -v npm >/dev/null || fail "npm is needed; it is not in PATH"
}

# one line each: the Debian package, then what it is found by (a program in PATH, or a file)
packages() {
  cat <<'TABLE'
g++ g++
make make
python3 python3
iproute2 ip
nftables nft
iperf3 iperf3
iputils-ping ping
TABLE
  [ "$mode" != demo ] || return 0
  cat <<'TABLE'
g++-aarch64-linux-gnu aarch64-linux-gnu-g++
TABLE
  [ "$mode" = test ] || return 0
  cat <<'TABLE'
conntrack conntrack
udhcpc udhcpc
isc-dhcp-client dhclient
dhcpcd-base dhcpcd
openssh-client ssh
openssh-server sshd
tshark tshark
tcpdump tcpdump
fping fping
nmap nmap
iputils-arping arping
ndisc6 ndisc6
dnsmasq-base dnsmasq
kea-admin perfdhcp
jq jq
curl curl
ethtool ethtool
faketime faketime
clang clang++
libclang-rt-14-dev /usr/lib/llvm-14/lib/clang
wireguard-go wireguard-go
wireguard-tools wg
miniupnpd-nftables miniupnpd
coturn turnserver
groff-base groff
podman podman
buildah buildah
runc runc
catatonit catatonit
netavark /usr/lib/podman/netavark
aardvark-dns /usr/lib/podman/aardvark-dns
iptables iptables
containernetworking-plugins /usr/lib/cni
debootstrap debootstrap
qemu-user qemu-aarch64
zsh zsh
fish fish
TABLE
}

missing_packages() {
  packages | while read -r package proof; do
    case $proof in
      /*) [ -e "$proof" ] && dpkg -s "$package" >/dev/null 2>&1 || echo "$package" ;;
      *) command -v "$proof" >/dev/null || echo "$package" ;;
    esac
  done
}

install_packages() {
  PATH=$PATH:/usr/sbin:/sbin
  export PATH
  missing=$(missing_packages | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  say "Debian packages missing: $missing"
  command -v apt-get >/dev/null || fail "no apt-get here: install the like of these packages, then run again"
  if [ "$(id -u)" -eq 0 ]; then
    as_root=
  elif command -v sudo >/dev/null; then
    as_root=sudo
  else
    fail "run as root: apt-get install --no-install-recommends $missing"
  fi
  if [ -t 0 ] && [ -z "${CI:-}" ]; then
    printf 'setup: install them with apt-get? [Y/n] '
    read -r answer || answer=no
    case $answer in [nN]*) fail "not without them" ;; esac
  fi
  say "installing them"
  $as_root apt-get update -q >/dev/null || fail "apt-get update failed, see above: is the network there?"
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=120 install -y -q --no-install-recommends $missing </dev/null >/dev/null ||
    fail "apt-get install failed, see above"
}

install_modules() {
  stamp=node_modules/.weft-lock
  now=$(sha256sum package-lock.json | cut -d ' ' -f 1)
  [ "$(cat "$stamp" 2>/dev/null)" = "$now" ] && return 0
  # a tree that npm made from this very lock file needs no new one
  if [ -f node_modules/.package-lock.json ] && npm ls --all >/dev/null 2>&1; then
    say "npm modules are in place"
  else
    say "installing npm modules"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error ||
      fail "npm ci failed, see above: is the npm registry reachable?"
  fi
  printf '%s\n' "$now" >"$stamp"
}

# programs that judge weft in its tests; without them those tests are skipped, and say so
install_judges() {
  [ "$mode" = test ] || return 0
  stamp=test/judges/node_modules/.weft-lock
  now=$(sha256sum test/judges/package-lock.json | cut -d ' ' -f 1)
  [ "$(cat "$stamp" 2>/dev/null)" = "$now" ] && return 0
  say "installing npm modules that judge weft"
  if npm ci --prefix test/judges --ignore-scripts --no-audit --no-fund --loglevel=error \
    --fetch-retries=1 --fetch-timeout=30000; then
    printf '%s\n' "$now" >"$stamp"
  else
    say "not to be had: the tests that need them are skipped"
  fi
}

case $mode in
  demo | test | pack) ;;
  *) fail "usage: scripts/setup.sh demo|test|pack" ;;
esac
check_tools
install_packages
install_modules
install_judges
say "compiling TypeScript"
node node_modules/typescript/bin/tsc -b || fail "TypeScript found errors, see above"
sh scripts/build-native.sh
[ "$mode" != test ] || sh scripts/previous-release.sh
say "ready"
