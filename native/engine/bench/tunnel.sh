#!/bin/bash
# The data plane between two namespaces joined by a veth, beside the bare veth and wireguard-go.
#
#      wa [eth0 192.0.2.1] ======= veth ======= [eth0 192.0.2.2] wb
#         [weft0 10.77.0.1]                     [weft0 10.77.0.2]
#
# usage: tunnel.sh [raw weft weft:acl weft:no-gso weft:chacha wggo ...]    root; T=seconds of TCP (default 5), P=streams
# Needs iproute2 iperf3 iputils-ping jq; wireguard-go and wireguard-tools for wggo. WGGO=path of another one.
set -u
cd "$(dirname "$0")/.." || exit 1
T=${T:-5}
P=${P:-1}
MTU=${MTU:-1390}
ID=$$
A=wa$ID
B=wb$ID
pids=()

up() {
  D=$(mktemp -d)
  for n in "$A" "$B"; do ip netns add "$n"; ip -n "$n" link set lo up; done
  ip link add eth0 netns "$A" type veth peer name eth0 netns "$B"
  ip -n "$A" addr add 192.0.2.1/24 dev eth0
  ip -n "$B" addr add 192.0.2.2/24 dev eth0
  for n in "$A" "$B"; do ip -n "$n" link set eth0 up; done
}
down() {
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
  sleep 0.3
  for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null; done
  wait 2>/dev/null
  pids=()
  ip netns del "$A" 2>/dev/null
  ip netns del "$B" 2>/dev/null
  [ -n "${KEEP:-}" ] && [ -n "${D:-}" ] && cat "$D"/*.log 2>/dev/null
  rm -rf "${D:-/nonexistent}"
}
trap down EXIT
run_in() { local ns=$1 log=$2; shift 2; ip netns exec "$ns" "$@" >"$D/$log.log" 2>&1 & pids+=($!); }

serve() { ip netns exec "$B" iperf3 -s -D -1 -I "$D/iperf.pid"; sleep 0.5; }
unserve() { kill "$(tr -d '\0' <"$D/iperf.pid" 2>/dev/null)" 2>/dev/null; sleep 0.2; }
measure() { # NAME TARGET
  local tcp back udp rtt
  serve
  tcp=$(timeout $((T + 10)) ip netns exec "$A" iperf3 -J -P "$P" -c "$2" -t "$T" 2>/dev/null |
    jq -r '.end.sum_received.bits_per_second/1e9*1000|round/1000')
  unserve
  serve
  back=$(timeout $((T + 10)) ip netns exec "$A" iperf3 -J -R -P "$P" -c "$2" -t "$T" 2>/dev/null |
    jq -r '.end.sum_received.bits_per_second/1e9*1000|round/1000')
  unserve
  serve
  udp=$(timeout 15 ip netns exec "$A" iperf3 -J -u -b 0 -l 64 -c "$2" -t 3 2>/dev/null |
    jq -r '(.end.sum.packets-.end.sum.lost_packets)/.end.sum.seconds/1e3|round')
  unserve
  rtt=$(ip netns exec "$A" ping -q -i 0.002 -c 500 "$2" | tail -1 | sed 's/.*= //; s/ ms.*//' | cut -d/ -f2)
  printf '%-14s tcp_gbps=%-7s back_gbps=%-7s udp64_kpps=%-5s ping_avg_ms=%s\n' "$1" "${tcp:--}" \
    "${back:--}" "${udp:--}" "${rtt:--}"
}

raw() { up; measure raw 192.0.2.2; down; }
weft() { # SWITCHES...
  up
  local tunnel=${TUNNEL:-../../.cache/engine/plain/tunnel} max=$((MTU + 14 + 36))
  run_in "$A" a "$tunnel" a weft0 192.0.2.1 7777 192.0.2.2 "$max" "$@"
  run_in "$B" b "$tunnel" b weft0 192.0.2.2 7777 192.0.2.1 "$max" "$@"
  sleep 0.5
  ip -n "$A" addr add 10.77.0.1/24 dev weft0
  ip -n "$B" addr add 10.77.0.2/24 dev weft0
  for n in "$A" "$B"; do ip -n "$n" link set weft0 up mtu "$MTU" ${TXQ:+txqueuelen "$TXQ"}; done
  ip -n "$A" neigh replace 10.77.0.2 lladdr 02:00:00:00:00:0b dev weft0
  ip -n "$B" neigh replace 10.77.0.1 lladdr 02:00:00:00:00:0a dev weft0
  measure "weft${*:+:$*}" 10.77.0.2
  down
}
wggo() {
  up
  local n other i oi ns
  for n in a b; do (umask 077; wg genkey >"$D/$n.key"); wg pubkey <"$D/$n.key" >"$D/$n.pub"; done
  for n in a b; do
    if [ $n = a ]; then other=b i=1 oi=2 ns=$A; else other=a i=2 oi=1 ns=$B; fi
    WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 run_in "$ns" "wg$n" "${WGGO:-wireguard-go}" -f "wg$n"
    sleep 1
    ip netns exec "$ns" wg set "wg$n" listen-port 51820 private-key "$D/$n.key" \
      peer "$(cat "$D/$other.pub")" endpoint "192.0.2.$oi:51820" allowed-ips 10.77.0.0/24
    ip -n "$ns" addr add "10.77.0.$i/24" dev "wg$n"
    ip -n "$ns" link set "wg$n" up mtu 1420
  done
  sleep 1
  measure wggo 10.77.0.2
  down
}

[ $# -gt 0 ] || set -- raw weft wggo
for peer in "$@"; do
  case $peer in
    raw | wggo) "$peer" ;;
    weft*) IFS=: read -r -a switches <<<"$peer"; weft "${switches[@]:1}" ;;
    *) echo "unknown: $peer" >&2; exit 2 ;;
  esac
done
