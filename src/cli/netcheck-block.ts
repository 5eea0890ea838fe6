/** The answer of `weft netcheck`: every line says what is so, or why nobody can tell. */
import type { AgentStatus } from "../agent/agent-status.ts";
import { printable, renderBlock } from "./table.ts";

export function netcheckData(status: AgentStatus): Readonly<Record<string, unknown>> {
  const { nat, mtu, peers, listen, portMapping } = status;
  const paths = peers.filter((peer) => peer.link === "direct");
  return {
    network: status.network,
    nat,
    families: { ipv4: family(status, 4), ipv6: family(status, 6) },
    listen,
    portMapping,
    mtu: { interface: mtu, paths: paths.map(({ name, maxDatagram }) => ({ name, maxDatagram })) },
  };
}

export function netcheckBlock(status: AgentStatus): string {
  const rows: (readonly [string, string])[] = [
    ["UDP", udpText(status)],
    ["NAT", natText(status)],
    ["Mapping", mappingText(status)],
    ["Filtering", filteringText(status)],
    ["Ports", portsText(status)],
    ["Lifetime", lifetimeText(status)],
    ["Hairpin", hairpinText(status)],
    ["IPv4", familyText(family(status, 4))],
    ["IPv6", familyText(family(status, 6))],
    ["Port mapping", portMappingText(status)],
    ["MTU", mtuText(status)],
  ];
  return renderBlock(rows.map(([title, value]) => [title, printable(value)]));
}

const NOBODY = "nobody to ask: link a member or set stun_servers";

function udpText({ nat, peers }: AgentStatus): string {
  switch (nat.udp) {
    case "works":
      return "gets out and back";
    case "blocked":
      return `no answer from ${nat.asked} asked: let UDP out of this network`;
    case "unknown":
      if (isByStreamAlone(peers)) {
        return "no member answers by UDP, TLS serves: let UDP out of this network";
      }
      return nat.asked === 0 ? `unknown: ${NOBODY}` : "unknown: nobody answered";
  }
}

/** Streams are opened only after UDP met silence. */
function isByStreamAlone(peers: AgentStatus["peers"]): boolean {
  const used = peers.map(({ transport }) => transport);
  return used.includes("tls") && !used.includes("udp");
}

const KINDS: Readonly<Record<string, string>> = {
  public: "none, the address is public",
  "full-cone": "full cone: everybody can reach the open port",
  restricted: "restricted cone: whoever was sent to can answer from any port",
  "port-restricted": "port-restricted cone, the usual home router",
  cone: "cone; who may send in is not known",
  "address-dependent": "address-dependent: another port for each address",
  "symmetric-sequential": "symmetric, ports in sequence",
  symmetric: "symmetric: another port for each destination",
};

function natText({ nat }: AgentStatus): string {
  if (nat.kind !== undefined) return KINDS[nat.kind] ?? nat.kind;
  if (nat.udp === "blocked") return "unknown: UDP does not come back";
  return nat.asked < 2 ? "unknown: it takes two public members or servers to ask" : "unknown";
}

function mappingText({ nat }: AgentStatus): string {
  switch (nat.mapping) {
    case "none":
      return "nothing is translated";
    case "endpoint-independent":
      return "one outside port for all destinations";
    case "address":
      return "one outside port for each address";
    case "address-and-port":
      return "one outside port for each destination";
    case "unknown":
      return "unknown";
  }
}

function filteringText({ nat }: AgentStatus): string {
  switch (nat.filtering) {
    case "endpoint-independent":
      return "lets everybody in";
    case "address":
      return "lets in the addresses that were sent to";
    case "address-and-port":
      return "lets in the endpoints that were sent to";
    case "unknown":
      return "unknown: nobody that answered could answer from another port or address";
  }
}

function portsText({ nat }: AgentStatus): string {
  switch (nat.allocation) {
    case "preserved":
      return "the outside port is the inside one";
    case "sequential":
      return `in sequence, step ${nat.step ?? 1}`;
    case "random":
      return "at random";
    case "unknown":
      return "unknown";
  }
}

/** Whether to wait for it is the user's choice: it takes as long as a mapping lives. */
export function lifetimeText({ nat }: AgentStatus): string {
  if (nat.mapping === "none") return "nothing is translated";
  const { state, aliveSeconds: alive, goneSeconds: gone } = nat.mappingLife;
  switch (state) {
    case "unknown":
      return "unknown: it takes a member in the open that answers";
    case "measuring":
      return `is being measured: a mapping silent for ${alive} s serves`;
    case "known":
      if (gone === undefined) return `a mapping silent for ${alive} s still serves`;
      return `a mapping silent for ${alive} s serves, for ${gone} s no more`;
  }
}

function hairpinText({ nat }: AgentStatus): string {
  if (nat.mapping === "none") return "not needed";
  if (nat.hairpin === undefined) return "unknown: the outside address is not known";
  return nat.hairpin ? "yes" : "no: two nodes behind this NAT meet by their inside addresses only";
}

interface Family {
  /** The host has an address of it. */
  readonly local: readonly string[];
  readonly reflexive: readonly string[];
}

function family({ nat }: AgentStatus, version: 4 | 6): Family {
  const isOf = (endpoint: string): boolean => endpoint.startsWith("[") === (version === 6);
  return { local: nat.local.filter(isOf), reflexive: nat.reflexive.filter(isOf) };
}

function familyText({ local, reflexive }: Family): string {
  if (local.length === 0) return "no address";
  const seen = reflexive.length === 0 ? "not seen from outside yet" : reflexive.join(", ");
  return `${local.join(", ")}; seen as ${seen}`.replace("seen as not", "not");
}

function portMappingText({ portMapping }: AgentStatus): string {
  switch (portMapping.state) {
    case "mapped":
      return `${portMapping.external} by ${portMapping.protocol}`;
    case "none":
      return `none: ${portMapping.reason}`;
    case "off":
      return "off in the cluster file";
  }
}

function mtuText({ mtu, peers }: AgentStatus): string {
  const paths = peers.filter((peer) => peer.link === "direct").map((peer) => peer.maxDatagram);
  const least = paths.length === 0 ? "no direct path yet" : `${Math.min(...paths)} bytes of UDP`;
  return `${mtu} inside; smallest direct path: ${least}`;
}
