/**
 * What strangers can do to a node by sending it packets, on two cores that also carry the flood, both
 * agents and the stream. About eight seconds of each flood; `WEFT_ATTACK=full` takes 60 and asserts
 * the shares of throughput, which mean little while other programs use the processor.
 */

import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { Flood } from "../../lab/flood.ts";
import type { Site } from "../../lab/lab.ts";
import { parseNetworkKey } from "../../src/agent/network-key.ts";
import { toHex } from "../../src/base/bytes.ts";
import type { Ip } from "../../src/base/net.ts";
import { type ClusterKeys, deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { describeWhere } from "../support/requires.ts";
import { suite } from "../support/suite.ts";
import {
  countBytes,
  Established,
  garbage,
  genuineFirsts,
  macOf,
  residentMib,
  spoofedSources,
  wrongMac1,
} from "./attackers.ts";
import { Cluster, figure, kernelNeeds, reaches } from "./cluster.ts";
import { underlayFrame } from "./frames.ts";

const IS_FULL = process.env["WEFT_ATTACK"] === "full";
const FLOOD_SECONDS = IS_FULL ? 60 : 8;
const BASELINE_SECONDS = IS_FULL ? 10 : 3;
/** MiB more than before. */
const MEMORY_MAX = 20;
/** Ten seconds are promised; the short form runs on machines that do other things, too. */
const JOIN_MS = IS_FULL ? 10_000 : 60_000;
const SOURCES = 10_000;
/** Lines that a flood may cause in the log of a minute: events have cool-downs. */
const LOG_LINES_MAX = 20;
/** What is left of an established stream at the least; asserted when nothing else runs. */
const KEPT = { strangers: 0.5, holders: 0.3 };

describeWhere("under floods", kernelNeeds("g++", "iperf3", "ss"), () => {
  let cluster: Cluster;
  let victim: Agent;
  let stranger: Site;
  let stream: Established;
  let baseline: number;
  let keys: ClusterKeys;
  let toVictim: () => Promise<number>;
  let toStranger: () => Promise<number>;

  beforeAll(async () => {
    cluster = await Cluster.create("floods");
    for (const name of ["a", "b"]) await cluster.addAgent(name);
    stranger = await cluster.lab.addSite("x");
    victim = cluster.agent("a");
    await cluster.startAll();
    // spoofed sources are beyond the stranger, as beyond any router
    await victim.site.run(["ip", "route", "add", "default", "via", stranger.ip]);
    toVictim = await countBytes(cluster.lab, stranger, victim.site);
    toStranger = await countBytes(cluster.lab, victim.site, stranger);
    keys = keysOf(cluster.file);
    stream = await Established.start(cluster.agent("b"), victim, await cluster.ip("a"));
    baseline = await stream.rateDuring(() => seconds(BASELINE_SECONDS));
  });
  afterAll(async () => {
    await stream?.end();
    await cluster?.remove();
  });

  it("50,000 packets a second of garbage", () => underFlood("garbage", garbage(), 50_000));

  it("20,000 handshakes a second with a wrong mac1", () =>
    underFlood("wrong mac1", wrongMac1(), 20_000));

  it("5,000 genuine first messages a second from 10,000 sources: honest members join", async () => {
    const joining = await cluster.addAgent("c");
    const sources = spoofedSources(SOURCES);
    const join = async () => {
      const started = performance.now();
      joining.start();
      await joining.online(JOIN_MS);
      figure(
        `a new member under the flood: ${((performance.now() - started) / 1000).toFixed(1)} s`,
      );
    };
    const payloads = genuineFirsts(keys, SOURCES);
    await underFlood("genuine first messages", payloads, 5_000, { sources, during: join });
    expect(await reaches(joining, await cluster.ip("a"))).toBe(true);
  });

  interface FloodOptions {
    readonly sources?: readonly Ip[];
    readonly during?: () => Promise<void>;
  }

  async function underFlood(
    what: string,
    payloads: readonly Uint8Array[],
    perSecond: number,
    { sources = [stranger.ip], during = async () => undefined }: FloodOptions = {},
  ): Promise<void> {
    const frames = await framesOf(payloads, sources);
    const before = { memory: residentMib(victim), lines: victim.logLines().length };
    const [received, sent] = [await toVictim(), await toStranger()];
    const flood = await Flood.start(stranger, frames, { perSecond, seconds: FLOOD_SECONDS });
    let highest = before.memory;
    const rate = await stream.rateDuring(async () => {
      const done = during();
      done.catch(() => undefined); // heard below, when the flood is over
      while (flood.isRunning) {
        await seconds(0.25);
        highest = Math.max(highest, residentMib(victim));
      }
      await done;
    });
    const { perSecond: arrived } = await flood.end();
    const answered = ((await toStranger()) - sent) / ((await toVictim()) - received);
    const grown = highest - before.memory;
    const kept = rate / baseline;
    figure(
      `${what}, ${arrived}/s for ${FLOOD_SECONDS} s (load ${loadavg()[0]?.toFixed(1)}): the stream keeps ${percent(kept)} of ${baseline.toFixed(0)} Mbit/s, memory + ${grown.toFixed(1)} MiB, answered ${percent(answered)} of the bytes`,
    );
    expect(answered).toBeLessThanOrEqual(1);
    expect(grown).toBeLessThanOrEqual(MEMORY_MAX);
    expect(victim.logLines().length - before.lines).toBeLessThanOrEqual(LOG_LINES_MAX);
    if (IS_FULL)
      expect(kept).toBeGreaterThanOrEqual(KEPT[sources.length > 1 ? "holders" : "strangers"]);
    await isNormalAgain(what);
  }

  /** Within five seconds of the last packet. */
  async function isNormalAgain(what: string): Promise<void> {
    await seconds(IS_FULL ? 5 : 1);
    const rate = await stream.rateDuring(() => seconds(2));
    figure(`after ${what}: ${percent(rate / baseline)} of the stream`);
    const health = (await victim.status())?.health ?? ["no answer"];
    // of the last ten seconds: that a flood is expensive is no secret
    expect(health.filter((line) => !line.includes("processor time"))).toEqual([]);
    if (IS_FULL) expect(rate / baseline).toBeGreaterThan(0.7);
  }

  async function framesOf(
    payloads: readonly Uint8Array[],
    sources: readonly Ip[],
  ): Promise<Uint8Array[]> {
    const macs = { from: await macOf(stranger), to: await macOf(victim.site) };
    return payloads.map((payload, i) =>
      underlayFrame(macs, sources[i % sources.length] ?? "", victim.site.ip, toHex(payload)),
    );
  }
});

function keysOf(file: string): ClusterKeys {
  const text = /^secret: (\S+)$/m.exec(readFileSync(file, "utf8"))?.[1] ?? "";
  const check = parseNetworkKey(text);
  if (!check.ok) throw new Error("the cluster file holds a key");
  return deriveClusterKeys(suite, check.key);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function seconds(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1_000 * count));
}
