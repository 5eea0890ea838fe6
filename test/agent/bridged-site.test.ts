import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeMachine, shownBridge } from "./fake-machine.ts";

const BRIDGE_MAC = "aa:00:00:00:00:01";

let machine = new FakeMachine();
beforeEach(() => {
  machine = new FakeMachine();
});
afterEach(() => {
  vi.useRealTimers();
  machine.remove();
});

describe("bridge: br0", () => {
  it("the TAP gets the bridge's MTU and the highest MAC, and becomes a port", async () => {
    const agent = machine.agent("bridge: br0\naddress: dhcp\n");
    await agent.start();
    expect(machine.request?.tap).toMatchObject({ name: "weft-lab", mtu: 1_500 });
    expect(machine.request?.tap.mac).toMatch(/^fe:/);
    expect(machine.ipCommands).toEqual([
      "link set dev weft-lab mtu 1500 up",
      "link set dev weft-lab master br0",
    ]);
    expect(machine.node.config).toMatchObject({ mac: BRIDGE_MAC, bridged: true, mtu: 1_390 });
    expect(agent.status().bridge).toBe("br0");
    agent.stop();
  });

  it("address: auto sets the address on the bridge, whose MAC is kept", async () => {
    const agent = machine.agent("bridge: br0\n");
    await agent.start();
    agent.run();
    machine.say({ kind: "interface", ip: "10.117.0.9", prefix: 16, mtu: 1_390 });
    await vi.waitFor(() => {
      expect(machine.ipCommands).toEqual([
        "link set dev weft-lab mtu 1500 up",
        `link set dev br0 address ${BRIDGE_MAC}`,
        "link set dev weft-lab master br0",
        "addr replace 10.117.0.9/16 brd + dev br0",
      ]);
    });
    agent.stop();
  });

  it.each([
    ['Device "br0" does not exist.', /^bridge br0 does not exist: make it/],
    ["Operation not permitted", /^bridge br0 cannot be looked at .*: correct/],
  ])("%s: one line, before anything is opened", async (detail, line) => {
    machine.bridgeShown = { ok: false, code: "interface-failed", detail };
    const agent = machine.agent("bridge: br0\n");
    await expect(agent.start()).rejects.toMatchObject({ code: "no-bridge", message: line });
    expect(machine.request).toBeUndefined();
  });

  it("an interface that is no bridge is refused", async () => {
    machine.bridgeShown = { ok: true, stdout: shownBridge({ linkinfo: { info_kind: "veth" } }) };
    const agent = machine.agent("bridge: br0\n");
    await expect(agent.start()).rejects.toMatchObject({
      code: "no-bridge",
      message: expect.stringMatching(/^br0 is no bridge \(it is veth\): name a bridge/),
    });
  });

  it("a bridge of the same name instead of the first: it gets MAC, port and address", async () => {
    vi.useFakeTimers();
    const agent = machine.agent("bridge: br0\n");
    await agent.start();
    agent.run();
    machine.say({ kind: "interface", ip: "10.117.0.9", prefix: 16, mtu: 1_390 });
    await vi.advanceTimersByTimeAsync(1_000);
    machine.bridgeShown = {
      ok: true,
      stdout: shownBridge({ ifindex: 8, address: "aa:00:00:00:00:99" }),
    };
    machine.ipCommands.length = 0;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(machine.ipCommands).toEqual([
      `link set dev br0 address ${BRIDGE_MAC}`,
      "link set dev weft-lab master br0",
      "addr replace 10.117.0.9/16 brd + dev br0",
      "link set dev weft-lab master br0",
    ]);
    agent.stop();
  });

  it("a bridge that goes and comes back: a line meanwhile, then the TAP is a port again", async () => {
    vi.useFakeTimers();
    const agent = machine.agent("bridge: br0\naddress: dhcp\n");
    await agent.start();
    const shown = machine.bridgeShown;
    machine.bridgeShown = { ok: false, code: "interface-failed", detail: "br0 does not exist" };
    await vi.advanceTimersByTimeAsync(5_000);
    expect(agent.status().health).toEqual([expect.stringMatching(/^bridge br0 does not exist/)]);
    machine.bridgeShown = shown;
    machine.ipCommands.length = 0;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(agent.status().health).toEqual([]);
    expect(machine.ipCommands).toEqual(["link set dev weft-lab master br0"]);
    agent.stop();
  });
});
