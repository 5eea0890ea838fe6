import { describe, expect, it } from "vitest";
import { type MappingLife, MeasuredLife, SILENCE_SECONDS } from "../../src/stun/mapping-life.ts";
import { KINDS, type NatKind } from "./nat-model.ts";
import { type Host, World } from "./world.ts";

function behind(kind: string, lifeMs: number) {
  const world = new World();
  const member = world.host({ ip: "203.0.113.11" });
  const nat = world.nat("198.51.100.1", KINDS[kind] as NatKind, lifeMs);
  const home = world.host({ ip: "192.168.1.2", nat });
  home.meet(member.endpoint, 1);
  return { world, member, home };
}

const lifeOf = (host: Host): MappingLife => host.stun.view().life;
const told = (host: Host) =>
  host.outputs.flatMap((out) => (out.kind === "mapping-life" ? [out.life] : []));

describe("the life of a mapping", () => {
  it.each([
    ["portrestricted", 5_000, 4_000, 7_000],
    ["portrestricted", 30_500, 30_000, 45_000],
    ["portrestricted", 121_000, 120_000, 180_000],
    ["fullcone", 10_500, 10_000, 15_000],
    ["symmetric", 10_500, 10_000, 15_000],
    ["symmetric_sequential", 61_000, 60_000, 90_000],
    ["address_dependent", 16_000, 15_000, 20_000],
  ])("%s, %i ms: between %i and %i", (kind, lifeMs, aliveMs, goneMs) => {
    const { world, home } = behind(kind, lifeMs);
    world.run(goneMs + 30_000);
    expect(lifeOf(home)).toEqual({ state: "known", aliveMs, goneMs });
    expect(told(home)).toEqual([lifeOf(home)]);
    expect(home.openSockets).toBe(1);
  });

  it("longer than five minutes is long enough, and not asked again for a day", () => {
    const { world, home } = behind("portrestricted", Number.POSITIVE_INFINITY);
    world.run(120_000);
    expect(lifeOf(home)).toEqual({ state: "measuring", aliveMs: 90_000, goneMs: undefined });
    world.run(220_000);
    expect(lifeOf(home)).toEqual({ state: "known", aliveMs: 300_000, goneMs: undefined });
    const sent = world.wire.length;
    world.run(20 * 3_600_000);
    expect(told(home)).toHaveLength(1);
    // Surveys alone, each half hour.
    expect(world.wire.length - sent).toBeLessThan(60 * 20);
    world.run(6 * 3_600_000);
    expect(told(home)).toHaveLength(2);
  });

  it("is not believed gone when the member is", () => {
    const { world, member, home } = behind("portrestricted", 1e9);
    world.run(40_000);
    world.loses = ({ from }) => from.ip === member.options.ip;
    world.run(60_000);
    expect(lifeOf(home)).toEqual({ state: "known", aliveMs: 30_000, goneMs: undefined });
  });

  it("is unknown where answers to another port do not arrive, and where no socket is to be had", () => {
    const { world, home } = behind("portrestricted", 1e9);
    // The control is answered from the survey on; nothing that was not sent to by the asker is.
    world.run(5_000);
    world.loses = ({ to, bytes }) =>
      to.ip === "198.51.100.1" && to.port >= 50_000 && bytes[0] === 1;
    world.run(60_000);
    expect(lifeOf(home).state).toBe("unknown");
    const poor = new World();
    const member = poor.host({ ip: "203.0.113.11" });
    const nat = poor.nat("198.51.100.1", KINDS["portrestricted"] as NatKind);
    const without = poor.host({ ip: "192.168.1.2", nat, isPoor: true });
    without.meet(member.endpoint, 1);
    poor.run(60_000);
    expect(lifeOf(without).state).toBe("unknown");
    expect(told(without)).toEqual([]);
  });

  it("is not measured without a NAT, and forgotten in another network", () => {
    const world = new World();
    const member = world.host({ ip: "203.0.113.11" });
    const open = world.host({ ip: "198.51.100.4" });
    open.meet(member.endpoint, 1);
    world.run(60_000);
    expect(lifeOf(open).state).toBe("unknown");
    const { world: other, home } = behind("portrestricted", 10_500);
    other.run(40_000);
    home.input({ kind: "local-endpoints", endpoints: [{ ip: "10.0.0.9", port: 7117 }] });
    expect(told(home).map(({ state }) => state)).toEqual(["known", "unknown"]);
    expect(lifeOf(home).state).toBe("unknown");
  });

  it("is unknown without the sample that has no silence", () => {
    const sockets = SILENCE_SECONDS.map((_, i) => 100 + i);
    const member = { ip: "203.0.113.11", port: 7117 };
    const [control = 0, ...others] = sockets;
    const measured = new MeasuredLife({ sockets, member, asker: 0 });
    measured.begin(0);
    for (const socket of others) measured.opened(0, socket);
    expect(measured.isOver).toBe(false);
    measured.failed(control);
    expect(measured.life.state).toBe("unknown");
    expect(measured.close()).toHaveLength(others.length);
  });
});
