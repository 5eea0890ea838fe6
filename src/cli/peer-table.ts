/** The table of peers, this node first. */
import type { AgentPeer, AgentStatus } from "../agent/agent-status.ts";
import { durationText } from "../agent/duration.ts";
import { bytesText, type Column, millisText, percentText, renderTable } from "./table.ts";

type Row = { readonly self: AgentStatus } | { readonly peer: AgentPeer };

export function peerTable(status: AgentStatus, wide: boolean, header: boolean): string {
  const peers = [...status.peers].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const rows: Row[] = [{ self: status }, ...peers.map((peer) => ({ peer }))];
  return renderTable(wide ? [...COLUMNS, ...WIDE] : COLUMNS, rows, header);
}

export function linkText(peer: AgentPeer): string {
  if (peer.link === "relay") return `relay(${peer.relay ?? "?"})`;
  return peer.link === "direct" && peer.lan ? "lan" : peer.link;
}

function column(
  title: string,
  self: (status: AgentStatus) => string | undefined,
  peer: (peer: AgentPeer) => string | undefined,
  align?: "right",
): Column<Row> {
  const value = (row: Row): string | undefined => ("self" in row ? self(row.self) : peer(row.peer));
  return align === undefined ? { title, value } : { title, value, align };
}

const none = (): undefined => undefined;

const COLUMNS: readonly Column<Row>[] = [
  column(
    "NAME",
    (status) => status.name,
    (peer) => peer.name,
  ),
  column(
    "IP",
    (status) => status.lease?.ip,
    (peer) => peer.ip,
  ),
  column(
    "STATE",
    (status) => status.state,
    (peer) => (peer.link === "connecting" ? "connecting" : "online"),
  ),
  column("LINK", () => "self", linkText),
  column("PROTO", none, (peer) => peer.transport),
  column(
    "ENDPOINT",
    (status) => status.listen[0],
    (peer) => peer.endpoint,
  ),
  column("RTT", none, (peer) => millisText(peer.rttMs), "right"),
  column("LOSS", none, (peer) => percentText(peer.lossFraction), "right"),
  column("RX", none, (peer) => bytesText(peer.bytesIn), "right"),
  column("TX", none, (peer) => bytesText(peer.bytesOut), "right"),
  column(
    "MTU",
    (status) => `${status.mtu}`,
    (peer) => (peer.mtu === undefined ? undefined : `${peer.mtu}`),
    "right",
  ),
  column(
    "NAT",
    (status) => status.nat?.kind,
    (peer) => peer.nat,
  ),
  column(
    "SEEN",
    () => "now",
    (peer) => seenText(peer.seenMsAgo),
    "right",
  ),
  column(
    "VERSION",
    (status) => status.agentVersion,
    (peer) => peer.version,
  ),
];

const WIDE: readonly Column<Row>[] = [
  column("ROLE", none, (peer) => peer.role),
  column("CIPHER", none, (peer) => peer.cipher),
  column("PQ", none, (peer) => (peer.postQuantum ? "yes" : "no")),
  column(
    "ADDRESS",
    (status) => status.address,
    (peer) => peer.address,
  ),
];

function seenText(ms: number): string {
  return ms < 1_000 ? "now" : `${durationText(ms / 1_000)} ago`;
}
