import { describe, expect, it } from "vitest";
import { PathSize } from "../../src/link/path-size.ts";
import { World } from "./world.ts";

/** A path that carries `limit` bytes and answers at once. */
class Wire {
  now = 0;
  readonly size = new PathSize("v4");
  readonly probes: number[] = [];
  limit: number;
  /** The kernel says so at once when a datagram is larger. */
  linkBytes = Number.POSITIVE_INFINITY;
  isDead = false;

  constructor(limit: number) {
    this.limit = limit;
    this.size.start(0);
  }

  run(until: number): this {
    while (this.size.deadline() <= until) {
      this.now = Math.max(this.now, this.size.deadline());
      for (const probe of this.size.take(this.now, 200).sizes) this.#probe(probe);
    }
    this.now = until;
    return this;
  }

  #probe(size: number): void {
    this.probes.push(size);
    if (size > this.linkBytes) this.size.refused(this.now, size);
    else if (size <= this.limit && !this.isDead) this.size.answered(this.now, size);
  }

  get state(): [number, boolean] {
    return [this.size.confirmed, this.size.isSettled];
  }
}

describe("the size of a path", () => {
  it("is found to the byte within 20 s, whatever it is", () => {
    for (let limit = 1_200; limit <= 8_972; limit += 37) {
      const wire = new Wire(limit).run(20_000);
      expect([limit, ...wire.state]).toEqual([limit, limit, true]);
    }
  });

  it("costs few probes where the packet size is a usual one", () => {
    for (const limit of [1_252, 1_372, 1_472, 8_972]) {
      const wire = new Wire(limit).run(5_000);
      expect(wire.state).toEqual([limit, true]);
      expect(wire.probes.length).toBeLessThanOrEqual(24);
    }
  });

  it("is settled at once where the kernel knows the link", () => {
    const wire = new Wire(1_472);
    wire.linkBytes = 1_472;
    expect(wire.run(100).state).toEqual([1_472, true]);
    expect(wire.probes).toEqual([1_252, 1_372, 1_472, 8_972, 1_473]);
  });

  it("is not decided by a path that carries nothing", () => {
    const wire = new Wire(1_472);
    wire.isDead = true;
    expect(wire.run(60_000).state).toEqual([1_200, false]);
    wire.isDead = false;
    expect(wire.run(70_000).state).toEqual([1_472, true]);
  });

  it("is lost within 3 s when a hole opens under traffic, found below it, and raised again", () => {
    const wire = new Wire(1_472).run(10_000);
    wire.size.noteBusy(10_000);
    wire.run(10_050);
    wire.limit = 1_272;
    wire.run(13_000);
    expect(wire.size.isSettled).toBe(false);
    wire.run(20_000);
    expect(wire.state).toEqual([1_272, true]);
    wire.limit = 1_472;
    expect(wire.run(120_000).state).toEqual([1_472, true]);
  });

  it("is not lost because the whole path is dead for a while", () => {
    const wire = new Wire(1_472).run(10_000);
    wire.isDead = true;
    wire.size.noteBusy(10_000);
    expect(wire.run(40_000).state).toEqual([1_472, true]);
    wire.isDead = false;
    expect(wire.run(60_000).state).toEqual([1_472, true]);
  });

  it("falls at once when the kernel refuses what passed before", () => {
    const wire = new Wire(1_472).run(10_000);
    wire.linkBytes = 1_372;
    expect(wire.size.refused(10_000, 1_472)).toBe(true);
    expect(wire.state).toEqual([1_200, false]);
    expect(wire.run(12_000).state).toEqual([1_372, true]);
    expect(wire.size.refused(12_000, 1_200)).toBe(false);
  });

  it("is asked for again after 1, 2, 4, 8 and then each 10 min, and verified only when busy", () => {
    const wire = new Wire(1_472).run(10_000);
    const before = wire.probes.length;
    wire.run(50_000);
    expect(wire.probes.length).toBe(before);
    wire.run(3_600_000);
    const again = wire.probes.slice(before).filter((size) => size === 1_473).length;
    expect(again).toBe(4 * 8);
    wire.probes.length = 0;
    wire.size.noteBusy(3_600_000);
    wire.run(3_630_000);
    expect(wire.probes.filter((size) => size === 1_472).length).toBe(7);
  });
});

describe("the size of a link's path", () => {
  function linked(linkBytes: number, hole = linkBytes) {
    const world = new World();
    world.linkBytes = linkBytes;
    const [a, b] = [world.add("a"), world.add("b")];
    world.allows = (_from, _to, bytes) => bytes.length <= hole;
    a.connect(b.endpoint);
    world.run(10_000);
    return { world, a, b };
  }

  it("is found by probes, also below a hole and where the kernel refuses", () => {
    for (const [linkBytes, hole] of [
      [9_000, 8_972],
      [1_472, 1_472],
      [65_507, 1_420],
      [65_507, 1_300],
      [1_372, 1_250],
      [1_250, 1_250],
    ] as const) {
      const { a, b } = linked(linkBytes, hole);
      expect(a.linkTo(b)).toMatchObject({ maxDatagram: hole, isSizeSettled: true });
      expect(b.linkTo(a)?.maxDatagram).toBe(hole);
    }
  });

  it("shrinks within 8 s when a hole opens under traffic", () => {
    const { world, a, b } = linked(1_472);
    expect(a.linkTo(b)?.maxDatagram).toBe(1_472);
    const session = a.linkTo(b)?.peer.link ?? 0;
    world.allows = (_from, _to, bytes) => bytes.length <= 1_300;
    const before = world.now;
    while (world.now - before < 20_000 && a.linkTo(b)?.maxDatagram === 1_472) {
      for (let i = 0; i < 10; i++) {
        a.engine.apply([{ op: "frame-to-peer", session, bytes: new Uint8Array(1_200) }]);
      }
      world.run(500);
    }
    expect(world.now - before).toBeLessThanOrEqual(8_000);
    world.run(8_000);
    expect(a.linkTo(b)).toMatchObject({ maxDatagram: 1_300, isSizeSettled: true });
  });
});
