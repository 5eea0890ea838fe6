/** The nftables rules that make a namespace with interfaces `wan` and `lan` one kind of NAT. */
import type { NatKind } from "./nat-kind.ts";

export interface NatOptions {
  /** A machine inside reaches another one inside by its outside endpoint. Default: no. */
  readonly hairpin?: boolean;
  /**
   * Unsolicited packets from outside are dropped before connection tracking keeps them. Default: yes.
   * Without it Linux records a peer's early probe as a connection of its own, and our later packet to
   * that peer gets another outside port: the port is burnt for this pair.
   */
  readonly guard?: boolean;
  /** Life of a UDP mapping; default 120 s (RFC 4787, REQ-5). */
  readonly udpSeconds?: number;
  /**
   * Outside ports of endpoint-independent kinds are the 10,000 from here on, but an inside port that is
   * one of them is kept; from 10,000 on none of the usual source ports is. Default: all are kept.
   */
  readonly firstPort?: number;
}

const DEFAULT_UDP_SECONDS = 120;
/** Where `one_to_one` sends what comes in: the first machine behind the box. */
export const FIRST_INSIDE = 2;
/** Ports that `symmetric_sequential` hands out before it starts over, and the first of them. */
const SEQUENCE = 4_096;
const SEQUENCE_FIRST = 40_000;
/** Ports of a range given by `firstPort`. */
const PORT_RANGE = 10_000;

export interface NatPlace {
  readonly outside: string;
  /** First three bytes of the addresses inside, e.g. `192.168.1`. */
  readonly inside: string;
}

/** A whole ruleset, to be read by `nft -f -`; it replaces what was there. */
export function natRules(kind: NatKind, place: NatPlace, options: NatOptions = {}): string {
  const { input, output } = translation(kind, place, options);
  const hairpin = options.hairpin === true;
  return `flush ruleset
${firewall(kind, place, options)}
table ip nat {
${tracking(options.udpSeconds ?? DEFAULT_UDP_SECONDS)}
  chain in {
    type nat hook prerouting priority dstnat; policy accept;
    ${input}
    ${hairpin ? hairpinIn(place) : ""}
  }
  chain out {
    type nat hook postrouting priority srcnat; policy accept;
    ${hairpin ? hairpinOut(place) : ""}
    ${output}
  }
}
`;
}

interface Translation {
  readonly input: string;
  readonly output: string;
}

function translation(kind: NatKind, { outside, inside }: NatPlace, options: NatOptions) {
  const all = `oifname "wan" snat to ${outside}`;
  const udp = `oifname "wan" meta l4proto udp snat ip to ${outside}`;
  const { firstPort } = options;
  // One inside endpoint keeps one outside port: Linux reuses the port it gave this source before.
  const cone =
    firstPort === undefined
      ? all
      : `oifname "wan" meta l4proto { tcp, udp } snat to ${outside}:${firstPort}-${firstPort + PORT_RANGE - 1}
    ${all}`;
  const none: Translation = { input: "", output: cone };
  const byHash = "jhash ip saddr . udp sport . ip daddr mod 40000 seed 0x77656674 offset 20000";
  const kinds: Readonly<Record<NatKind, Translation>> = {
    portrestricted: none,
    udp_blocked: none,
    fullcone: {
      input: `iifname "wan" meta l4proto udp dnat ip to udp dport map @mappings`,
      output: cone,
    },
    restricted: {
      input: `iifname "wan" udp dport . ip saddr @partners dnat ip to udp dport map @mappings`,
      output: cone,
    },
    // The port is a function of the inside endpoint and the remote address, and of nothing else.
    address_dependent: { input: "", output: `${udp} : ${byHash}\n    ${all}` },
    symmetric: {
      input: "",
      output: `oifname "wan" meta l4proto { tcp, udp } snat to ${outside}:1024-65535 fully-random
    ${all}`,
    },
    symmetric_sequential: {
      input: "",
      output: `${udp} : numgen inc mod ${SEQUENCE} map { ${inSequence()} }\n    ${all}`,
    },
    one_to_one: { input: `iifname "wan" dnat to ${inside}.${FIRST_INSIDE}`, output: all },
  };
  return kinds[kind];
}

/** By a map: a bare number would be taken with its two bytes swapped, and go up in steps of 256. */
function inSequence(): string {
  const row = (_: unknown, i: number) => `${i} : ${SEQUENCE_FIRST + i}`;
  return Array.from({ length: SEQUENCE }, row).join(", ");
}

/**
 * Which inside endpoint has which outside port, and whom it sent to from there. The chain comes after
 * the translation, so the port in the packet is the outside one, also when Linux chose another.
 */
function tracking(udpSeconds: number): string {
  return `
  map mappings {
    type inet_service : ipv4_addr . inet_service
    flags dynamic,timeout
    timeout ${udpSeconds}s
    size 65535
  }
  set partners {
    type inet_service . ipv4_addr
    flags dynamic,timeout
    timeout ${udpSeconds}s
    size 65535
  }
  chain note {
    type filter hook postrouting priority srcnat + 1; policy accept;
    oifname "wan" meta l4proto udp ct direction original update @mappings { udp sport : ct original ip saddr . ct original proto-src }
    oifname "wan" meta l4proto udp update @partners { udp sport . ip daddr }
  }`;
}

/** Inside to our own outside address: back to whoever has that port, from its own outside port. */
function hairpinIn({ outside }: NatPlace): string {
  return `iifname "lan" ip daddr ${outside} meta l4proto udp dnat ip to udp dport map @mappings`;
}

function hairpinOut({ outside }: NatPlace): string {
  return `iifname "lan" oifname "lan" ct status dnat snat to ${outside}`;
}

function firewall(kind: NatKind, { outside }: NatPlace, { guard = true }: NatOptions): string {
  const solicited = `
    iifname "lan" ip daddr ${outside} meta l4proto udp drop
    iifname "wan" ct state established,related accept
    iifname "wan" icmp type echo-request accept
    iifname "wan" drop`;
  const web = `
    iifname "lan" tcp dport { 80, 443 } accept
    iifname "lan" meta l4proto udp reject with icmp type admin-prohibited
    iifname "lan" drop`;
  return `table ip guard {
  chain input {
    type filter hook input priority filter; policy accept;${guard ? solicited : ""}
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept${kind === "udp_blocked" ? web : ""}
    iifname "lan" accept
    ct status dnat accept
    iifname "wan" drop
  }
}`;
}
