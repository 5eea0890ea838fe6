import { expect, it } from "vitest";
import { eventually, start } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { kernelNeeds } from "./cluster.ts";
import { leftBehind } from "./nothing-left.ts";

const USER = new URL("./lab-user.ts", import.meta.url).pathname;
const TITLE = "a lab leaves nothing behind, however its program ends";

describeWhere(TITLE, kernelNeeds(), () => {
  it("after its removal", async () => {
    const user = runUser("remove");
    expect(await user.exited).toBe(0);
    await expectNothing("remove");
  });

  it("after an error that nobody caught", async () => {
    const user = runUser("fail");
    expect(await user.exited).not.toBe(0);
    expect(user.output).toContain("failed on purpose");
    await expectNothing("fail");
  });

  it.for(["SIGINT", "SIGTERM", "SIGHUP"] as const)("after %s", async (signal) => {
    const user = runUser(signal);
    await eventually("the lab is there", async () => user.output.includes("made"), 20_000, 50);
    expect(leftBehind(runOf(signal)).length).toBeGreaterThan(2);
    await user.stop(signal);
    await expectNothing(signal);
  });
});

function runUser(ending: string) {
  return start([process.execPath, "--import", "tsx", USER, runOf(ending), ending]);
}

/** Told apart from the runs of the other tests in this file, and found by the check at the end. */
function runOf(ending: string): string {
  return `${process.env["WEFT_KERNEL_RUN"] ?? "alone"}-${ending.toLowerCase()}`;
}

async function expectNothing(ending: string): Promise<void> {
  const none = async () => leftBehind(runOf(ending)).length === 0;
  await eventually(`nothing is left: ${leftBehind(runOf(ending))}`, none, 5_000, 100);
}
