import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../../lab/shell.ts";
import { loadAddon } from "../../src/io/engine.ts";
import { notifyService } from "../../src/io/service-notify.ts";
import { NotifySocket } from "../support/notify-socket.ts";
import { describeWhere, requireCommand, requireFile } from "../support/requires.ts";

const NEEDS = [requireFile("build/Release/weft.node"), requireCommand("python3")];

describeWhere("words to the service manager", NEEDS, () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "weft-notify-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ["a path", () => join(folder, "notify")],
    ["the abstract namespace", () => `@weft-test-${process.pid}`],
  ])("arrive at %s, a datagram each", async (_, place) => {
    const manager = new NotifySocket(place());
    await eventually("it listens", async () => manager.isListening, 10_000, 20);
    expect(notifyService(manager.path, "READY=1\nSTATUS=ä")).toBe(true);
    expect(notifyService(manager.path, "WATCHDOG=1")).toBe(true);
    await eventually("both are heard", async () => manager.heard.length === 2, 10_000, 20);
    expect(manager.heard).toEqual([["READY=1", "STATUS=ä"], ["WATCHDOG=1"]]);
    await manager.end();
  });

  it("to nobody, to no path and to one too long: false, at once", () => {
    for (const socket of [join(folder, "none"), "", "@", "relative", `/${"x".repeat(200)}`])
      expect(notifyService(socket, "READY=1"), socket).toBe(false);
    expect(() => loadAddon().notifyService({} as never)).toThrow(TypeError);
  });
});
