import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EngineCommand, Upcall } from "../../src/base/engine.ts";
import { NEVER } from "../../src/base/time.ts";
import { Driver, type HostOutput } from "../../src/io/driver.ts";
import type { NodeInput, NodeOutput } from "../../src/node/config.ts";

/** A node that does what the test scripts, and notes what it was told. */
class ScriptedNode {
  readonly seen: { now: number; kind: string }[] = [];
  readonly outputs: NodeOutput[] = [];
  due = NEVER;
  onHandle: (input: NodeInput) => void = () => undefined;

  handle(now: number, input: NodeInput): void {
    this.seen.push({ now, kind: input.kind });
    if (input.kind === "timeout") this.due = NEVER;
    this.onHandle(input);
  }

  poll(): NodeOutput | undefined {
    return this.outputs.shift();
  }

  deadline(): number {
    return this.due;
  }
}

const REPORT: EngineCommand = { op: "report-traffic" };
const UPCALL: Upcall = { kind: "rekey-due", session: 1 };

function setUp() {
  const node = new ScriptedNode();
  const applied: (readonly EngineCommand[])[] = [];
  const outputs: HostOutput[] = [];
  const bugs: unknown[] = [];
  const upcalls: Upcall[] = [];
  const driver = new Driver({
    node,
    engine: { apply: (commands) => void applied.push([...commands]) },
    now: () => Date.now(),
    onOutput: (output) => void outputs.push(output),
    onUpcall: (upcall) => {
      upcalls.push(upcall);
      return upcall.kind === "datagram";
    },
    onBug: (error) => void bugs.push(error),
  });
  return { node, driver, applied, outputs, bugs, upcalls };
}

beforeEach(() => void vi.useFakeTimers({ now: 1_000 }));
afterEach(() => void vi.useRealTimers());

describe("the driver", () => {
  it("starts with a timeout and arms one timer for the deadline", () => {
    const { node, driver } = setUp();
    node.onHandle = () => {
      if (node.seen.length < 4) node.due = Date.now() + 250;
    };
    driver.start();
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(249);
    expect(node.seen).toHaveLength(1);
    vi.advanceTimersByTime(10_000);
    expect(node.seen.map(({ now }) => now)).toEqual([1_000, 1_250, 1_500, 1_750]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("drains after each input, gives the engine one batch, then tells the host", () => {
    const { node, driver, applied, outputs } = setUp();
    node.onHandle = () => {
      node.outputs.push({ kind: "engine", command: REPORT }, { kind: "state", state: "online" });
    };
    driver.deliver([UPCALL, UPCALL, UPCALL]);
    expect(applied).toEqual([[REPORT, REPORT, REPORT]]);
    expect(outputs).toHaveLength(3);
  });

  it("takes inputs made by outputs up afterwards, never inside", () => {
    const { node, driver } = setUp();
    let depth = 0;
    node.onHandle = (input) => {
      depth++;
      if (input.kind === "upcall") driver.input({ kind: "wall", wallSeconds: 1 });
      expect(depth).toBe(1);
      depth--;
    };
    driver.deliver([UPCALL, UPCALL]);
    expect(node.seen.map(({ kind }) => kind)).toEqual(["upcall", "upcall", "wall", "wall"]);
  });

  it("a due deadline is handled although upcalls never stop", () => {
    const { node, driver } = setUp();
    node.due = 1_010;
    driver.deliver([UPCALL]);
    for (let i = 0; i < 20; i++) {
      vi.setSystemTime(1_000 + i);
      driver.deliver([UPCALL]);
    }
    expect(node.seen.filter(({ kind }) => kind === "timeout").map(({ now }) => now)).toEqual([
      1_010,
    ]);
  });

  it("cuts a long batch into several applies", () => {
    const { node, driver, applied } = setUp();
    node.onHandle = () => void node.outputs.push({ kind: "engine", command: REPORT });
    driver.deliver(Array.from({ length: 600 }, () => UPCALL));
    expect(applied.map((batch) => batch.length)).toEqual([256, 256, 88]);
  });

  it("a broken assertion closes it and is reported once", () => {
    const { node, driver, bugs } = setUp();
    node.onHandle = () => {
      throw new Error("broken");
    };
    driver.start();
    driver.input({ kind: "wall", wallSeconds: 2 });
    expect(bugs).toEqual([new Error("broken")]);
    expect(node.seen).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is silent after close", () => {
    const { node, driver } = setUp();
    node.onHandle = () => {
      node.due = Date.now() + 10;
    };
    driver.start();
    driver.close();
    driver.deliver([UPCALL]);
    vi.advanceTimersByTime(1_000);
    expect(node.seen).toHaveLength(1);
  });

  it("a deadline beyond setTimeout's range does not fire at once", () => {
    const { node, driver } = setUp();
    node.onHandle = () => {
      node.due = Date.now() + 2 ** 40;
    };
    driver.start();
    vi.advanceTimersByTime(100_000);
    expect(node.seen).toHaveLength(1);
  });
});
