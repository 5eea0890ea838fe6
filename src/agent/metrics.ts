/** Prometheus metrics, read from the agent's own counters at each scrape. */
import { Counter, Gauge, Registry } from "prom-client";
import type { EngineCounters } from "../base/engine.ts";
import type { AgentStatus } from "./agent-status.ts";
import type { Journal } from "./journal.ts";
import type { Totals } from "./traffic-totals.ts";

export interface MetricSources {
  counters(): EngineCounters;
  status(): AgentStatus;
  totals(): Totals;
  readonly journal: Journal;
}

/** Every metric: name -> help and labels. Rows of docs/OPERATING.md (a test compares). */
export const METRICS = {
  weft_build_info: { help: "1, with the version", labels: ["version"] },
  weft_uptime_seconds: { help: "Since the agent started", labels: [] },
  weft_state: { help: "1 for the node's state", labels: ["state"] },
  weft_health_lines: { help: "Lines that need a person", labels: [] },
  weft_peers: { help: "Peers by kind of link", labels: ["link"] },
  weft_peer_rtt_seconds: { help: "Round trip to a peer", labels: ["peer"] },
  weft_peer_loss_ratio: { help: "Lost probes of a peer, 0 to 1", labels: ["peer"] },
  weft_session_bytes_in: {
    help: "Frame bytes from a peer in its present session",
    labels: ["peer"],
  },
  weft_session_bytes_out: {
    help: "Frame bytes to a peer in its present session",
    labels: ["peer"],
  },
  weft_data_bytes_total: { help: "Bytes of inner frames", labels: ["direction"] },
  weft_control_bytes_total: {
    help: "Bytes of control messages in sessions",
    labels: ["direction"],
  },
  weft_relayed_bytes_total: { help: "Bytes carried for others", labels: [] },
  weft_datagrams_total: { help: "UDP datagrams", labels: ["direction"] },
  weft_udp_bytes_total: { help: "Bytes of UDP payload", labels: ["direction"] },
  weft_tap_frames_total: {
    help: "Frames read from (in) and written to (out) the TAP",
    labels: ["direction"],
  },
  weft_relayed_datagrams_total: { help: "Datagrams carried for others", labels: [] },
  weft_dropped_total: { help: "Input from outside that was dropped", labels: ["reason"] },
  weft_lease_remaining_seconds: { help: "Until the lease ends; absent without one", labels: [] },
  weft_ring_size_estimate: { help: "Members of the ring, estimated", labels: [] },
  weft_lookups_total: {
    help: "Questions to the DHT for a frame: who holds an address (lease), who has a MAC (mac)",
    labels: ["kind"],
  },
  weft_records: { help: "DHT records held here", labels: [] },
  weft_record_bytes: { help: "Bytes of DHT records held here", labels: [] },
  weft_loop_lag_seconds: { help: "How late timers fire, largest of the last 10 s", labels: [] },
  weft_events_total: { help: "Acts of the node (weft journal)", labels: ["area", "what"] },
} as const satisfies Record<string, { readonly help: string; readonly labels: readonly string[] }>;

type Name = keyof typeof METRICS;

export class Metrics {
  readonly #registry = new Registry();
  readonly #sources: MetricSources;
  readonly #series = new Map<string, Gauge | Counter>();

  constructor(sources: MetricSources) {
    this.#sources = sources;
    for (const [name, { help, labels }] of Object.entries(METRICS)) {
      const Kind = name.endsWith("_total") ? Counter : Gauge;
      const options = { name, help, labelNames: [...labels], registers: [this.#registry] };
      this.#series.set(name, new Kind(options));
    }
  }

  /** Text in Prometheus' exposition format. */
  async text(): Promise<string> {
    this.#registry.resetMetrics();
    const status = this.#sources.status();
    this.#setNode(status);
    this.#setPeers(status);
    this.#setEngine(this.#sources.counters());
    this.#setTotals(this.#sources.totals());
    for (const { area, what, count } of this.#sources.journal.counts())
      this.#set("weft_events_total", count, { area, what });
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The sources are totals already: counters are filled anew after each reset. */
  #set(name: Name, value: number | undefined, labels: Readonly<Record<string, string>> = {}): void {
    if (value !== undefined) this.#series.get(name)?.inc({ ...labels }, value);
  }

  #setNode(status: AgentStatus): void {
    this.#set("weft_build_info", 1, { version: status.agentVersion });
    this.#set("weft_uptime_seconds", status.uptimeMs / 1_000);
    this.#set("weft_state", 1, { state: status.state });
    this.#set("weft_health_lines", status.health.length);
    this.#set("weft_lease_remaining_seconds", status.lease?.expiresInSeconds);
    this.#set("weft_ring_size_estimate", status.ring.sizeEstimate);
    this.#set("weft_lookups_total", status.lookups.lease, { kind: "lease" });
    this.#set("weft_lookups_total", status.lookups.mac, { kind: "mac" });
    this.#set("weft_records", status.records.count);
    this.#set("weft_record_bytes", status.records.bytes);
    this.#set("weft_loop_lag_seconds", status.loopLagMs / 1_000);
  }

  #setPeers(status: AgentStatus): void {
    for (const link of ["direct", "relay", "connecting"]) {
      this.#set("weft_peers", status.peers.filter((peer) => peer.link === link).length, { link });
    }
    const seen = new Set<string>();
    for (const peer of status.peers) {
      // Two members of one name would make one series twice.
      const labels = {
        peer: seen.has(peer.name) ? `${peer.name}@${peer.address.slice(0, 8)}` : peer.name,
      };
      seen.add(peer.name);
      this.#set(
        "weft_peer_rtt_seconds",
        peer.rttMs === undefined ? undefined : peer.rttMs / 1_000,
        labels,
      );
      this.#set("weft_peer_loss_ratio", peer.lossFraction, labels);
      this.#set("weft_session_bytes_in", peer.bytesIn, labels);
      this.#set("weft_session_bytes_out", peer.bytesOut, labels);
    }
  }

  #setEngine(counters: EngineCounters): void {
    this.#set("weft_datagrams_total", counters.datagramsIn, { direction: "in" });
    this.#set("weft_datagrams_total", counters.datagramsOut, { direction: "out" });
    this.#set("weft_udp_bytes_total", counters.bytesIn, { direction: "in" });
    this.#set("weft_udp_bytes_total", counters.bytesOut, { direction: "out" });
    this.#set("weft_tap_frames_total", counters.tapFramesIn, { direction: "in" });
    this.#set("weft_tap_frames_total", counters.tapFramesOut, { direction: "out" });
    this.#set("weft_relayed_datagrams_total", counters.relayedDatagrams);
    for (const [reason, count] of Object.entries(counters.dropped))
      this.#set("weft_dropped_total", count, { reason });
  }

  #setTotals(totals: Totals): void {
    this.#set("weft_data_bytes_total", totals.dataIn, { direction: "in" });
    this.#set("weft_data_bytes_total", totals.dataOut, { direction: "out" });
    this.#set("weft_control_bytes_total", totals.controlIn, { direction: "in" });
    this.#set("weft_control_bytes_total", totals.controlOut, { direction: "out" });
    this.#set("weft_relayed_bytes_total", totals.relayed);
  }
}
