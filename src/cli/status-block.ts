/** The head block of `weft status`. */
import type { AgentStatus } from "../agent/agent-status.ts";
import { durationText } from "../agent/duration.ts";
import { dateText } from "../node/date-text.ts";
import type { NoticesStatus } from "../node/status.ts";
import { printable, renderBlock } from "./table.ts";

export function statusBlock(status: AgentStatus): string {
  const rows: (readonly [string, string])[] = [
    ["Network", `${status.network} (${status.range})`],
    ["Node", status.name],
    ["Address", status.lease === undefined ? "-" : `${status.lease.ip}/${status.lease.prefix}`],
    ["MAC", status.mac],
    ["Interface", interfaceText(status)],
    ["State", capitalised(status.state)],
    ["Ring", ringText(status)],
    ["NAT", natText(status)],
    ["Lease", leaseText(status)],
    ["Peers", peersText(status)],
    ["Uptime", durationText(status.uptimeMs / 1_000)],
    ["Security", securityText(status)],
    ["Post-quantum", postQuantumText(status)],
    ...noticeRows(status.notices),
  ];
  return renderBlock(rows.map(([title, value]) => [title, printable(value)])) + healthText(status);
}

export function healthText(status: AgentStatus): string {
  return status.health.map((line) => `! ${printable(line)}\n`).join("");
}

function securityText({ certificate }: AgentStatus): string {
  if (certificate === undefined) {
    return "secret: whoever holds the cluster file is a member, under any name it makes up";
  }
  const { ends, issuer, mayIssue, groups } = certificate;
  const until = ends === 0 ? "never ends" : `ends ${dateText(ends)}`;
  const more = [
    `signed by ${issuer}`,
    ...(mayIssue ? ["may issue"] : []),
    ...(groups.length === 0 ? [] : [`groups ${groups.join(", ")}`]),
  ];
  return `authority: this node's certificate ${until}, ${more.join(", ")}`;
}

/** What the authority said, once it said something; an agent of an earlier version says nothing of it. */
function noticeRows(notices: NoticesStatus | undefined): (readonly [string, string])[] {
  const { revocations = 0, revokedKeys = 0, revokedSerials = 0, shared = 0 } = notices ?? {};
  const said = [
    ...(revocations === 0
      ? []
      : [`list ${revocations}: ${revokedKeys} keys and ${revokedSerials} serial numbers revoked`]),
    ...(shared === 0 ? [] : [`shared part ${shared}`]),
  ];
  return said.length === 0 ? [] : [["Authority", said.join(", ")]];
}

function interfaceText({ interface: name, bridge, mtu }: AgentStatus): string {
  return bridge === undefined ? `${name}, MTU ${mtu}` : `${name}, port of ${bridge}, MTU ${mtu}`;
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function ringText({ ring, address, peers }: AgentStatus): string {
  const names = new Map(peers.map((peer) => [peer.address, peer.name]));
  const name = (other: string | undefined): string =>
    other === undefined ? "-" : (names.get(other) ?? other.slice(0, 8));
  const size = Math.max(1, Math.round(ring.sizeEstimate));
  const place = `${name(ring.predecessors[0])} < ${address.slice(0, 8)} < ${name(ring.successors[0])}`;
  return `${place}, about ${size} ${size === 1 ? "member" : "members"}${ring.stable ? "" : ", settling"}`;
}

function natText({ nat }: AgentStatus): string {
  const seen = nat.reflexive.length === 0 ? "" : `, seen as ${nat.reflexive.join(", ")}`;
  return nat.udp === "blocked" ? "UDP does not come back" : `${nat.kind ?? "-"}${seen}`;
}

function leaseText({ lease, addressMode }: AgentStatus): string {
  if (lease === undefined)
    return addressMode === "dhcp"
      ? "none yet: start your DHCP client on the interface"
      : "none yet";
  const alone = lease.alone ? ", claimed alone" : "";
  return `expires in ${durationText(lease.expiresInSeconds)}, renewed ${lease.renewals} times${alone}`;
}

function postQuantumText({ peers }: AgentStatus): string {
  const mixed = peers.filter((peer) => peer.postQuantum).length;
  return `${mixed} of ${peers.length} ${peers.length === 1 ? "link" : "links"}`;
}

function peersText({ peers }: AgentStatus): string {
  const count = (link: string): number => peers.filter((peer) => peer.link === link).length;
  const [direct, relayed] = [count("direct"), count("relay")];
  return `${direct + relayed}/${peers.length} (direct ${direct}, relayed ${relayed})`;
}
