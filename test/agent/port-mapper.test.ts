import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type MappingAnswer, type MappingWish, PortMapper } from "../../src/agent/port-mapper.ts";
import type { Endpoint } from "../../src/base/net.ts";

const INSIDE = { ip: "192.168.1.2", port: 7117 };
const LOCAL = [{ interface: "eth0", endpoint: INSIDE }];
const GRANTED: MappingAnswer = {
  ok: true,
  outside: { ip: "44.128.0.1", port: 7117 },
  lifeSeconds: 3_600,
};
const REFUSED: MappingAnswer = { ok: false, reason: "refused (result 2)" };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A router whose answers the test sets. */
class Router {
  readonly asked: [string, MappingWish][] = [];
  readonly told: (Endpoint | undefined)[] = [];
  answers: Record<string, MappingAnswer> = {};
  gateway: string | undefined = "192.168.1.1";
  readonly mapper = new PortMapper({
    clients: (["pcp", "nat-pmp", "upnp"] as const).map((protocol) => [
      protocol,
      async (wish) => {
        this.asked.push([protocol, wish]);
        return this.answers[protocol] ?? { ok: false, reason: "no answer" };
      },
    ]),
    defaultGateway: () =>
      this.gateway === undefined ? undefined : { ip: this.gateway, interface: "eth0" },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    onChange: (external) => void this.told.push(external),
  });

  get protocols(): string[] {
    return this.asked.map(([protocol]) => protocol);
  }
}

async function looked(router: Router, local = LOCAL): Promise<Router> {
  router.mapper.look(local);
  await vi.advanceTimersByTimeAsync(0);
  return router;
}

describe("asking", () => {
  it("one protocol after the other; the first that grants is kept", async () => {
    const router = new Router();
    router.answers = { "nat-pmp": GRANTED };
    await looked(router);
    expect(router.protocols).toEqual(["pcp", "nat-pmp"]);
    expect(router.told).toEqual([{ ip: "44.128.0.1", port: 7117 }]);
    expect(router.mapper.status).toEqual({
      state: "mapped",
      protocol: "nat-pmp",
      external: "44.128.0.1:7117",
    });
  });

  it("not without gateway, not with a public address, not twice for one place", async () => {
    const router = new Router();
    router.gateway = undefined;
    await looked(router);
    expect(router.mapper.status).toEqual({
      state: "none",
      reason: "there is no default gateway",
    });
    router.gateway = "192.168.1.1";
    await looked(router, [{ interface: "eth0", endpoint: { ip: "203.0.113.5", port: 7117 } }]);
    expect(router.mapper.status).toEqual({
      state: "none",
      reason: "this machine has a public address itself",
    });
    expect(router.asked).toEqual([]);
    await looked(router);
    await looked(router);
    expect(router.protocols).toEqual(["pcp", "nat-pmp", "upnp"]);
    expect(router.mapper.status).toEqual({ state: "none", reason: "upnp: no answer" });
  });

  it.each([
    ["0.0.0.0", 7117],
    ["127.0.0.1", 7117],
    ["169.254.1.1", 7117],
    ["239.255.71.17", 7117],
    ["255.255.255.255", 7117],
    ["44.128.0.1", 0],
  ])("an outside endpoint that is nobody's, %s:%i, is told to nobody", async (ip, port) => {
    const router = new Router();
    router.answers = { pcp: { ...GRANTED, outside: { ip, port } } };
    await looked(router);
    expect(router.told).toEqual([]);
    expect(router.mapper.status.state).toBe("none");
  });

  it("a life without end is renewed within the hour, not all the time", async () => {
    const router = new Router();
    router.answers = { pcp: { ...GRANTED, lifeSeconds: 0xffff_ffff } };
    await looked(router);
    await vi.advanceTimersByTimeAsync(1_790_000);
    expect(router.asked.length).toBe(1);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(router.asked.length).toBe(2);
    await router.mapper.stop();
  });

  it("an outside address that is private too is of no use", async () => {
    const router = new Router();
    router.answers = { pcp: { ...GRANTED, outside: { ip: "100.64.3.4", port: 7117 } } };
    await looked(router);
    expect(router.told).toEqual([]);
    expect(router.asked.length).toBe(3);
  });

  it("failures are repeated after one, two, four minutes .. an hour", async () => {
    const router = await looked(new Router());
    for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
      const before = router.asked.length;
      await vi.advanceTimersByTimeAsync(minutes * 60_000 - 1);
      expect(router.asked.length).toBe(before);
      await vi.advanceTimersByTimeAsync(1);
      expect(router.asked.length).toBe(before + 3);
    }
  });
});

describe("holding", () => {
  it("renews at half the life by the same protocol; silence of the router is told", async () => {
    const router = new Router();
    router.answers = { upnp: GRANTED };
    await looked(router);
    await vi.advanceTimersByTimeAsync(1_800_000);
    expect(router.protocols).toEqual(["pcp", "nat-pmp", "upnp", "upnp"]);
    expect(router.told.length).toBe(1);
    router.answers = {};
    await vi.advanceTimersByTimeAsync(1_800_000);
    expect(router.told.at(-1)).toBeUndefined();
    expect(router.mapper.status.state).toBe("none");
  });

  it("a life of seconds is not renewed all the time", async () => {
    const router = new Router();
    router.answers = { pcp: { ...GRANTED, lifeSeconds: 1 } };
    await looked(router);
    await vi.advanceTimersByTimeAsync(59_000);
    expect(router.asked.length).toBe(1);
  });

  it("is given back at the end, and at a change of the network before the new one is asked", async () => {
    const router = new Router();
    router.answers = { pcp: GRANTED };
    await looked(router);
    const moved = { ip: "192.168.1.9", port: 7117 };
    await looked(router, [{ interface: "eth0", endpoint: moved }]);
    await router.mapper.stop();
    expect(router.asked.map(([, wish]) => [wish.inside.ip, wish.lifeSeconds])).toEqual([
      ["192.168.1.2", 3_600],
      ["192.168.1.2", 0],
      ["192.168.1.9", 3_600],
      ["192.168.1.9", 0],
    ]);
    await vi.advanceTimersByTimeAsync(86_400_000);
    expect(router.asked.length).toBe(4);
  });

  it("a refusal to take it back holds nothing up", async () => {
    const router = new Router();
    router.answers = { pcp: GRANTED };
    await looked(router);
    router.answers = { pcp: REFUSED };
    await router.mapper.stop();
    expect(router.mapper.status.state).toBe("none");
  });
});
