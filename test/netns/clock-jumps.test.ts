import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Site } from "../../lab/lab.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere, requireFile } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, secondsSince } from "./cluster.ts";
import { weft, weftWith } from "./weft-words.ts";

const TITLE = "a wall clock that jumps under a running agent, in a network with an authority";
const LIBRARY = `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/faketime/libfaketimeMT.so.1`;
/** The agent looks at its clock every 5 s. */
const NOTICED_MS = 30_000;
/** Several rounds of keepalives and a rekey's worth of doubt. */
const HOLDS_SECONDS = 20;

interface Status {
  readonly health: readonly string[];
  readonly peers: readonly { readonly name: string; readonly link: string }[];
}

describeWhere(TITLE, [...kernelNeeds(), requireFile(LIBRARY)], () => {
  let cluster: Cluster;
  let first: Site;
  let second: Site;
  let third: Site;

  beforeAll(async () => {
    cluster = await Cluster.create("clocks");
    await cluster.lab.dropMulticast();
    [first, second, third] = [
      await cluster.lab.addSite("first"),
      await cluster.lab.addSite("second"),
      await cluster.lab.addSite("third"),
    ];
    await weft(first, ["init", "lab", "--authority", "--range", "10.86.0.0/16"]);
    setClock("+0");
    await weftWith(first, clockOf(first), ["up", "lab"]);
    for (const site of [second, third]) {
      const { stdout } = await weft(first, ["invite", site.name, "lab"]);
      expect(await weft(site, ["join"], stdout)).toMatchObject({ status: 0, stderr: "" });
    }
    await weft(third, ["wait", "--nodes", "3"]);
  });
  afterAll(async () => {
    for (const site of [first, second, third]) {
      if (site !== undefined) await weft(site, ["down"]);
    }
    await cluster?.remove();
  });

  function setClock(offset: string): void {
    writeFileSync(join(first.folder, "clock"), `${offset}\n`);
  }

  describe.each([
    ["+15y", /certificate of third ended .*: check the clock here \(20[4-9]/],
    ["-2d", /certificate of third starts in the future .*: check the clock here \(/],
  ])("by %s", (offset, line) => {
    it("keeps its links and its frames; a newcomer is refused by name; right again, it links", async () => {
      const target = (await weft(first, ["ip"])).stdout.trim();
      setClock(offset);
      const ping = ["ping", "-n", "-i", "0.2", "-w", `${HOLDS_SECONDS}`, target];
      const { stdout } = await second.finish(ping);
      const lost = /(\d+(?:\.\d+)?)% packet loss/.exec(stdout)?.[1];
      figure(`clock ${offset}: ${lost} % of pings lost in ${HOLDS_SECONDS} s`);
      expect(Number(lost)).toBeLessThan(5);
      expect(linked(await statusOf(first))).toEqual(["second", "third"]);
      await weft(third, ["down"]);
      await weft(third, ["up", "lab", "--timeout", "1"]);
      const says = async () => (await statusOf(first)).health.some((text) => line.test(text));
      await eventually(`${offset}: status names the clock`, says, NOTICED_MS, 500);
      setClock("+0");
      const started = performance.now();
      const isBack = async () => linked(await statusOf(first)).includes("third");
      await eventually("the third is linked again", isBack, 90_000, 500);
      figure(`clock ${offset}: right again, linked after ${secondsSince(started)}`);
    });
  });
});

/** The agent's wall clock follows a file; its monotonic one is the machine's. */
function clockOf(site: Site): Record<string, string> {
  return {
    LD_PRELOAD: LIBRARY,
    FAKETIME_TIMESTAMP_FILE: join(site.folder, "clock"),
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
}

async function statusOf(site: Site): Promise<Status> {
  return JSON.parse((await weft(site, ["status", "--json"])).stdout) as Status;
}

function linked({ peers }: Status): string[] {
  const usable = peers.filter(({ link }) => link !== "connecting");
  return usable.map(({ name }) => name).sort();
}
