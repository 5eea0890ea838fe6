import { describe, expect, it } from "vitest";
import type { Site } from "../../lab/lab.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { figure, kernelNeeds, secondsSince } from "./cluster.ts";
import { FakeClock, requireFakeClock } from "./fake-clock.ts";
import { useStrangers } from "./strangers.ts";
import { NOTED, weft, weftWith } from "./weft-words.ts";

const TITLE = "a wall clock that jumps under a running agent, in a network with an authority";
/** The agent looks at its clock every 5 s. */
const NOTICED_MS = 30_000;
/** Several rounds of keepalives and a rekey's worth of doubt. */
const HOLDS_SECONDS = 20;

interface Status {
  readonly health: readonly string[];
  readonly peers: readonly { readonly name: string; readonly link: string }[];
}

describeWhere(TITLE, [...kernelNeeds(), requireFakeClock()], () => {
  let first: Site;
  let second: Site;
  let third: Site;
  let clock: FakeClock;

  useStrangers("clocks", ["first", "second", "third"], async ({ sites }) => {
    ({ first, second, third } = sites);
    clock = new FakeClock(first.folder);
    await weft(first, ["init", "lab", "--authority", "--range", "10.86.0.0/16"]);
    await weftWith(first, clock.env, ["up", "lab"]);
    for (const site of [second, third]) {
      const { stdout } = await weft(first, ["invite", site.name, "lab"]);
      const stderr = expect.stringMatching(NOTED);
      expect(await weft(site, ["join"], stdout)).toMatchObject({ status: 0, stderr });
    }
    await weft(third, ["wait", "--nodes", "3"]);
  });

  describe.each([
    ["+15y", /certificate of third ended .*: check the clock here \(20[4-9]/],
    ["-2d", /certificate of third starts in the future .*: check the clock here \(/],
  ])("by %s", (offset, line) => {
    it("keeps its links and its frames; a newcomer is refused by name; right again, it links", async () => {
      const target = (await weft(first, ["ip"])).stdout.trim();
      clock.set(offset);
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
      clock.set("+0");
      const started = performance.now();
      const isBack = async () => linked(await statusOf(first)).includes("third");
      await eventually("the third is linked again", isBack, 90_000, 500);
      figure(`clock ${offset}: right again, linked after ${secondsSince(started)}`);
    });
  });
});

async function statusOf(site: Site): Promise<Status> {
  return JSON.parse((await weft(site, ["status", "--json"])).stdout) as Status;
}

function linked({ peers }: Status): string[] {
  const usable = peers.filter(({ link }) => link !== "connecting");
  return usable.map(({ name }) => name).sort();
}
