import { expect, it } from "vitest";
import type { Site } from "../../lab/lab.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { type Cluster, figure, kernelNeeds, secondsSince } from "./cluster.ts";
import { useStrangers } from "./strangers.ts";
import { weft, weftOnTerminal } from "./weft-words.ts";

const TITLE =
  "a network in three commands: init and up on one machine, the printed line on the other";
const RANGE = "10.86.0.0/16";
/** What the issue promises a person; machines under load get it too. */
const FIRST_PING_MS = 60_000;

describeWhere(TITLE, kernelNeeds("script"), () => {
  let cluster: Cluster;
  let first: Site;
  let second: Site;
  let line = "";

  useStrangers("commands", ["first", "second"], (made) => {
    ({ cluster } = made);
    ({ first, second } = made.sites);
  });

  it("the first machine prints one line to paste", async () => {
    expect(await weft(first, ["init", "lab", "--range", RANGE])).toMatchObject({ status: 0 });
    const up = await weftOnTerminal(first, "up lab");
    const lines = up.stdout.split(/\r?\n/).filter((row) => row.includes("weft1."));
    expect(lines).toHaveLength(1);
    line = lines[0]?.trim() ?? "";
    expect(line).toMatch(/^weft join weft1\.[A-Za-z0-9_-]+$/);
    expect((await weft(first, ["invite"])).stdout.trim()).toBe(line);
  });

  it("into a file or a pipe goes how to get it, not the key", async () => {
    const up = await weft(first, ["up", "lab"]);
    expect(up).toMatchObject({ status: 0, stderr: "" });
    expect(up.stdout).not.toContain("weft1.");
    expect(up.stdout).toContain("The line for other machines: weft invite");
  });

  it("pasted on the second, a ping answers within a minute", async () => {
    const started = performance.now();
    const joined = await weft(second, line.split(" ").slice(1));
    expect(joined).toMatchObject({ status: 0, stderr: "" });
    expect(joined.stdout).not.toContain("weft1.");
    const commandTook = secondsSince(started);
    const target = (await weft(first, ["ip"])).stdout.trim();
    const ping = ["ping", "-n", "-c", "1", "-W", "1", target];
    const answers = async () => (await second.finish(ping)).status === 0;
    await eventually("a ping to the first", answers, FIRST_PING_MS, 50);
    figure(`commands: weft join took ${commandTook}, its first ping ${secondsSince(started)}`);
    expect(performance.now() - started).toBeLessThan(FIRST_PING_MS);
  });

  it("pasted again, it says what to do instead", async () => {
    const again = await weft(second, line.split(" ").slice(1));
    expect(again).toMatchObject({ status: 5, stdout: "" });
    expect(again.stderr).toMatch(
      /^weft: .* holds this network already: start it with `weft up lab`\n$/,
    );
  });

  it("over a pipe, on a third machine: the token is in no list of processes", async () => {
    const third = await cluster.lab.addSite("third");
    const joined = await weft(third, ["join"], `${line}\n`);
    expect(joined).toMatchObject({ status: 0, stderr: "" });
    const members = await weft(third, ["wait", "--nodes", "2"]);
    expect(members.status, members.stderr).toBe(0);
    await weft(third, ["down"]);
  });
});
