/** Datagrams that a flood is made of, and what is measured while it lasts. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Agent } from "../../lab/agent.ts";
import type { Lab, Site } from "../../lab/lab.ts";
import { eventually, type Running } from "../../lab/shell.ts";
import type { Ip, Mac } from "../../src/base/net.ts";
import type { ClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { handshakePrologue } from "../../src/crypto/cluster-keys.ts";
import { appendMacs } from "../../src/crypto/mac.ts";
import { NoiseHandshake } from "../../src/crypto/noise.ts";
import { emitHandshake1, PADDED_HANDSHAKE_BYTES } from "../../src/wire/handshake.ts";
import { DATAGRAM_TYPES } from "../../src/wire/message-type.ts";
import { suite } from "../support/suite.ts";

/** Different ones of each flood: they are repeated, which nothing in weft could profit from. */
const POOL = 2_000;
/** RFC 2544's range for tests of devices: 10,000 sources that no site of the lab has. */
const SPOOFED = "198.18";
const IPERF_PORT = 5_201;

/** Any first byte, any length that fits one Ethernet frame. */
export function garbage(): Uint8Array[] {
  return Array.from({ length: POOL }, () => randomBytes(1 + Math.floor(Math.random() * 1_400)));
}

/** Looks like a handshake's first message up to its mac1. */
export function wrongMac1(): Uint8Array[] {
  return Array.from({ length: POOL }, () => {
    const bytes = randomBytes(PADDED_HANDSHAKE_BYTES);
    bytes[0] = DATAGRAM_TYPES["handshake-1"];
    return bytes;
  });
}

/** Genuine first messages, each with keys of its own: what somebody with the file can send. */
export function genuineFirsts(keys: ClusterKeys, count: number): Uint8Array[] {
  const prologue = handshakePrologue(keys.networkId);
  const secret = randomBytes(32);
  const dh = { publicKey: suite.x25519Public(secret), secretKey: secret };
  return Array.from({ length: count }, () => {
    const noise = new NoiseHandshake({
      suite,
      initiator: true,
      prologue,
      psk: keys.psk,
      static: dh,
      ephemeralSecret: randomBytes(32),
    });
    const sender = randomBytes(4).readUInt32LE() || 1;
    const body = emitHandshake1({ sender, noise: noise.write(new Uint8Array(0)) }, true);
    return appendMacs(suite, keys.mac1Key, body);
  });
}

/** `count` addresses of nobody. */
export function spoofedSources(count: number): Ip[] {
  return Array.from({ length: count }, (_, i) => `${SPOOFED}.${i >> 8}.${i & 255}`);
}

export async function macOf(site: Site): Promise<Mac> {
  const [link] = JSON.parse(await site.run(["ip", "-j", "link", "show", "dev", "eth0"])) as [
    { readonly address: Mac },
  ];
  return link.address;
}

/** Bytes of IPv4 packets from one site's cable to another's, counted on the bridge. */
export async function countBytes(lab: Lab, from: Site, to: Site): Promise<() => Promise<number>> {
  const table = `count-${from.port}-${to.port}`;
  await lab.addRules(table, `iifname "${from.port}" oifname "${to.port}" ether type ip counter`);
  return async () => {
    const text = await lab.middle.run(["nft", "list", "table", "bridge", table]);
    return Number(/bytes (\d+)/.exec(text)?.[1] ?? 0);
  };
}

/** Resident memory in MiB. */
export function residentMib({ pid }: Agent): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1_024;
}

/** A TCP stream by iperf3 between two agents that was there before and stays. */
export class Established {
  readonly #client: Running;
  readonly #server: Running;

  private constructor(client: Running, server: Running) {
    this.#client = client;
    this.#server = server;
  }

  static async start(from: Agent, to: Agent, ip: Ip): Promise<Established> {
    const server = to.site.start(["iperf3", "-s", "-1", "-B", ip]);
    const listens = async () =>
      (await to.site.finish(["ss", "-tln"])).stdout.includes(`:${IPERF_PORT}`);
    await eventually("iperf3 listens", listens, 10_000);
    const options = ["-t", "600", "-i", "0.5", "-f", "m", "--forceflush"];
    const client = from.site.start(["iperf3", "-c", ip, ...options]);
    const stream = new Established(client, server);
    await eventually("the stream flows", async () => stream.#rates().length > 2, 15_000);
    return stream;
  }

  /** Mbit/s from now on, for as long as `during` takes; at least a second. */
  async rateDuring(during: () => Promise<unknown>): Promise<number> {
    const before = this.#rates().length;
    await during();
    const enough = async () => this.#rates().length >= before + 2;
    await eventually("iperf3 reports", enough, 10_000);
    const rates = this.#rates().slice(before);
    return rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  }

  async end(): Promise<void> {
    for (const program of [this.#client, this.#server]) await program.stop("SIGKILL");
  }

  /** Of each half second so far. */
  #rates(): number[] {
    const rows = this.#client.output.matchAll(/([\d.]+) Mbits\/sec/g);
    return [...rows].map((row) => Number(row[1]));
  }
}
