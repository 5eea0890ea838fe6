/**
 * How a pair's packets travel, seen from outside: nftables counters on the public member's cable and at
 * both sites. Test pings are told from everything else by their length.
 */
import type { Lab, Site } from "./lab.ts";

/** Payload of the test pings. */
export const PING_BYTES = 900;
/**
 * The UDP length of such a ping: 8 (UDP) + 16 (header) + 4 (descriptor) + 14 (Ethernet) + 20 (IP)
 * + 8 (ICMP) + 900 + 16 (tag) = 986, up to 8 more behind a relay header and 15 of padding.
 */
const LENGTHS = "980-1020";
/** The like of it in a TLS record. */
const TCP_LENGTHS = "980-1150";

export interface Counts {
  /** Test pings on the public member's cable, each counted in and out. */
  readonly viaPublic: number;
  /** Test pings that reached a site from somewhere else than the public member. */
  readonly direct: number;
  /** UDP datagrams that each site sent elsewhere than to the public member. */
  readonly sentByA: number;
  readonly sentByB: number;
}

export class PairMeter {
  readonly #lab: Lab;
  readonly #sites: readonly [Site, Site];

  private constructor(lab: Lab, sites: readonly [Site, Site]) {
    this.#lab = lab;
    this.#sites = sites;
  }

  static async create(lab: Lab, member: Site, sites: readonly [Site, Site]): Promise<PairMeter> {
    const rules = (name: string, text: string) => ({ input: `table ${name} watch {\n${text}}\n` });
    await lab.middle.run(["nft", "-f", "-"], rules("bridge", bridgeRules(member)));
    for (const site of sites) {
      await site.run(["nft", "-f", "-"], rules("inet", siteRules(member)));
    }
    return new PairMeter(lab, sites);
  }

  async read(): Promise<Counts> {
    const [a, b] = this.#sites;
    const [middle, atA, atB] = await Promise.all([
      readCounters(this.#lab.middle),
      readCounters(a),
      readCounters(b),
    ]);
    return {
      viaPublic: middle("public"),
      direct: atA("carried") + atB("carried"),
      sentByA: atA("sent"),
      sentByB: atB("sent"),
    };
  }
}

function bridgeRules({ port }: Site): string {
  const either = (name: string) => `
    ${name} "${port}" udp length ${LENGTHS} counter name public
    ${name} "${port}" meta l4proto tcp meta length ${TCP_LENGTHS} counter name public`;
  return `  counter public { }
  chain forward {
    type filter hook forward priority 0; policy accept;${either("iifname")}${either("oifname")}
  }
`;
}

function siteRules({ ip, ip6 }: Site): string {
  return `  counter carried { }
  counter sent { }
  chain input {
    type filter hook input priority raw; policy accept;
    iifname != "eth0" return
    ip saddr ${ip} return
    ip6 saddr ${ip6} return
    udp length ${LENGTHS} counter name carried
    meta l4proto tcp meta length ${TCP_LENGTHS} counter name carried
  }
  chain output {
    type filter hook output priority raw; policy accept;
    oifname != "eth0" return
    ip daddr { ${ip}, 224.0.0.0/4, 255.255.255.255 } return
    ip6 daddr { ${ip6}, ff00::/8 } return
    meta l4proto udp counter name sent
  }
`;
}

interface Ruleset {
  readonly nftables: readonly { readonly counter?: { name: string; packets: number } }[];
}

async function readCounters(site: Site): Promise<(name: string) => number> {
  const { nftables } = JSON.parse(await site.run(["nft", "-j", "list", "counters"])) as Ruleset;
  const found = new Map(
    nftables.flatMap(({ counter }) =>
      counter === undefined ? [] : [[counter.name, counter.packets] as const],
    ),
  );
  return (name) => found.get(name) ?? 0;
}
