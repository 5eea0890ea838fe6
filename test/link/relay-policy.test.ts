import { describe, expect, it } from "vitest";
import { SeededRng, unit } from "../../src/base/rng.ts";
import { DropCounters } from "../../src/link/drop-counters.ts";
import { LossMeter } from "../../src/link/loss-meter.ts";
import type { RelayPolicy } from "../../src/link/relay-policy.ts";
import {
  type DirectLink,
  MAX_CARRIED,
  MAX_CARRIED_PER_LINK,
  Relays,
  type RelaysOutput,
} from "../../src/link/relays.ts";
import type { LinkMessage } from "../../src/wire/link-messages.ts";
import { type TestNode, World } from "./world.ts";

const SELF = 1_000n;
const TARGET = 900n;
const TOP = 0x8000_0000;

function relaysWith(links: readonly DirectLink[], policy?: RelayPolicy) {
  const drops = new DropCounters();
  const options = { self: SELF, rng: new SeededRng(1), links: { directLinks: () => links }, drops };
  const relays = new Relays(policy === undefined ? options : { ...options, policy });
  const drain = (): RelaysOutput[] => {
    const outputs: RelaysOutput[] = [];
    for (let out = relays.poll(); out !== undefined; out = relays.poll()) outputs.push(out);
    return outputs;
  };
  const sent = () =>
    drain().flatMap((out) => (out.kind === "send" ? [{ link: out.link, ...out.message }] : []));
  return { relays, drops, drain, sent };
}

function open(label: number, target = TARGET): Extract<LinkMessage, { type: "relay-open" }> {
  const lists = { visited: [10n], hints: [] };
  return { type: "relay-open", label, hopsLeft: 2, origin: 10n, target, ...lists };
}

const ORIGIN: DirectLink = { link: 1, address: 10n };
const LINKS: readonly DirectLink[] = [ORIGIN, { link: 2, address: TARGET }];

describe("what a member relays", () => {
  it("is nothing with `off`, but circuits may end there", () => {
    const { relays, drops, sent } = relaysWith(LINKS, { kind: "off" });
    relays.receive(0, ORIGIN, open(TOP + 1));
    expect(sent()).toMatchObject([{ link: 1, type: "relay-fail", label: TOP + 1 }]);
    expect(drops.snapshot()).toEqual({ "relay-refused": 1 });
    relays.receive(0, ORIGIN, open(TOP + 2, SELF));
    expect(sent()).toMatchObject([{ link: 1, type: "relay-ok", label: TOP + 2 }]);
  });

  it("is held to a rate by the engine, or to none", () => {
    const limit = (perSession: number, inAll: number) =>
      [{ kind: "engine", command: { op: "relay-limit", perSession, inAll } }] as const;
    for (const [policy, expected] of [
      [undefined, limit(12_500_000, 50_000_000)],
      [{ kind: "limit", perMember: 8_000, inAll: 9_000 }, limit(8_000, 9_000)],
      [{ kind: "members" }, []],
      [{ kind: "off" }, []],
    ] as const) {
      expect(relaysWith(LINKS, policy).drain()).toEqual(expected);
    }
  });

  it("is at most 64 circuits of one member and 256 in all under a limit", () => {
    const members = Array.from({ length: 8 }, (_, i) => ({ link: i + 10, address: BigInt(i + 1) }));
    const { relays, drops } = relaysWith([...members, { link: 2, address: TARGET }]);
    let [label, now] = [TOP, 0];
    for (const member of members) {
      for (let i = 0; i < 2 * MAX_CARRIED_PER_LINK; i++) {
        now += 50;
        relays.receive(now, member, { ...open(++label), origin: member.address });
      }
      expect(relays.count).toBeLessThanOrEqual(MAX_CARRIED_PER_LINK * (member.link - 9));
    }
    expect(relays.count).toBe(MAX_CARRIED);
    expect(drops.snapshot()["relay-refused"]).toBe(16 * MAX_CARRIED_PER_LINK - MAX_CARRIED);
  });
});

describe("the choice of a relay", () => {
  const near = (link: number, costMs: number, refuses = false): DirectLink => ({
    link,
    address: BigInt(link),
    costMs,
    refuses,
  });
  const hints = [1n, 2n, 3n];

  it("takes the cheapest of the target's neighbours, never one that refuses", () => {
    const links = [near(1, 40), near(2, 20), near(3, 5, true), near(4, 1)];
    const { relays, sent } = relaysWith(links);
    relays.open(0, TARGET, hints);
    expect(sent().map(({ link }) => link)).toEqual([2]);
  });

  it("leaves a convicted one alone for ten minutes, unless there is no other", () => {
    const { relays, sent } = relaysWith([near(1, 40), near(2, 20)]);
    for (const peer of [TARGET, 700n]) relays.avoid(0, 2n, peer);
    relays.open(1_000, TARGET, hints);
    relays.open(601_000, 700n, hints);
    expect(sent().map(({ link }) => link)).toEqual([1, 2]);
    for (const relay of [1n, 2n]) relays.avoid(601_000, relay, 600n);
    relays.open(602_000, 600n, hints);
    expect(sent()).toHaveLength(1);
  });

  it("lets no peer that drops what it is sent convict a relay for the others", () => {
    const { relays, sent } = relaysWith([near(1, 40), near(2, 20)]);
    relays.avoid(0, 2n, TARGET);
    relays.open(1_000, 800n, hints);
    expect(sent().map(({ link }) => link)).toEqual([2]);
  });

  it("takes another member for the second circuit, and no third", () => {
    const { relays, sent } = relaysWith([near(1, 40), near(2, 20), near(3, 30)]);
    const asked: number[] = [];
    for (let i = 0; i < 3; i++) {
      relays.open(i, TARGET, hints);
      for (const message of sent()) {
        if (message.type !== "relay-open") continue;
        asked.push(message.link);
        const from = { link: message.link, address: BigInt(message.link) };
        relays.receive(i, from, { type: "relay-ok", label: message.label });
      }
    }
    expect(asked).toEqual([2, 3]);
  });
});

describe("the loss of a path", () => {
  function meter(loss: number, probes: number, seed: number): LossMeter {
    const [rng, made] = [new SeededRng(seed), new LossMeter()];
    for (let missed = 0, i = 0; i < probes; i++) {
      if (unit(rng) < loss) missed++;
      else {
        made.answered(missed);
        missed = 0;
      }
    }
    return made;
  }

  it("is told after about 50 probes, and not by chance", () => {
    const count = (loss: number) =>
      Array.from({ length: 200 }, (_, seed) => meter(loss, 60, seed)).filter((m) => m.isLossy)
        .length;
    expect(count(0.2)).toBeGreaterThan(190);
    expect(count(0.01)).toBeLessThan(3);
    expect(meter(1, 49, 1).isLossy).toBe(false);
  });
});

describe("a pair over relays", () => {
  /** a and b do not reach each other; p, q and r reach everybody. */
  function world(seed = 1) {
    const made = new World({ seed });
    const [a, b, p, q, r] = ["a", "b", "p", "q", "r"].map((name) => made.add(name));
    if (!a || !b || !p || !q || !r) throw new Error("five nodes");
    const isPair = (x: string, y: string) =>
      [x, y].every((ip) => [a, b].some((n) => n.endpoint.ip === ip));
    made.allows = (from, to) => !isPair(from.ip, to.ip);
    for (const relay of [p, q, r]) for (const end of [a, b]) end.connect(relay.endpoint);
    made.run(2_000);
    a.connect(b);
    // until the round trips of both relays are known well
    made.run(30_000);
    return { world: made, a, b, relays: [p, q, r] };
  }

  const relayOf = (a: TestNode, b: TestNode, relays: readonly TestNode[]) => {
    const path = a.linkTo(b)?.path;
    return relays.find((relay) => path?.kind === "relay" && relay.address === path.via);
  };

  it("keeps two warm: when one dies the other carries within 3 s", () => {
    const { world: w, a, b, relays } = world();
    const used = relayOf(a, b, relays);
    expect(used).toBeDefined();
    used?.kill();
    const moved = () => ![used, undefined].includes(relayOf(a, b, relays));
    expect(w.run(3_000, moved)).toBe(true);
  });

  it("leaves a relay that drops a fifth of the pair's datagrams, and does not come back", () => {
    const { world: w, a, b, relays } = world();
    const bad = relayOf(a, b, relays);
    dropAt(w, bad, () => unit(w.rng) < 0.2);
    expect(w.run(60_000, () => ![bad, undefined].includes(relayOf(a, b, relays)))).toBe(true);
    expect(usedFor(w, a, b, relays)).not.toContain(bad);
  });

  it("convicts a relay whose losses are single ones, and chooses another for ten minutes", () => {
    const { world: w, a, b, relays } = world();
    const bad = relayOf(a, b, relays);
    let droppedAt = w.now;
    dropAt(w, bad, () => {
      const isDropped = w.now - droppedAt > 2_400;
      if (isDropped) droppedAt = w.now;
      return isDropped;
    });
    expect(w.run(120_000, () => ![bad, undefined].includes(relayOf(a, b, relays)))).toBe(true);
    const [conviction] = [...a.of("event"), ...b.of("event")].filter(
      ({ event }) => event.what === "relay-convicted",
    );
    expect(conviction?.event.fields).toMatchObject({ relay: bad?.name });
    expect(usedFor(w, a, b, relays)).not.toContain(bad);
  });

  function dropAt(w: World, relay: TestNode | undefined, isDropped: () => boolean): void {
    const allows = w.allows;
    w.allows = (from, to, bytes) => {
      const isRelayed = bytes[0] === 201 && from.ip === relay?.endpoint.ip;
      return !(isRelayed && isDropped()) && allows(from, to, bytes);
    };
  }

  /** Who carries the pair in the next five minutes; undefined stands for nobody. */
  function usedFor(w: World, a: TestNode, b: TestNode, relays: readonly TestNode[]) {
    const seen = new Set<TestNode | undefined>();
    for (let i = 0; i < 300; i++) {
      w.run(1_000);
      seen.add(relayOf(a, b, relays));
    }
    expect(seen).not.toContain(undefined);
    return seen;
  }

  it("blames ever fewer relays when it is the peer's own line that loses", () => {
    const { world: w, a, b } = world();
    const allows = w.allows;
    w.allows = (from, to, bytes) => {
      const isOnLine = from.ip === b.endpoint.ip || to.ip === b.endpoint.ip;
      return !(isOnLine && unit(w.rng) < 0.08) && allows(from, to, bytes);
    };
    w.run(1_800_000);
    const blamed = [a, b].map(
      (node) => node.of("event").filter(({ event }) => event.what === "relay-convicted").length,
    );
    expect(Math.max(...blamed)).toBeLessThanOrEqual(6);
  });

  it("never asks a member with `relay: off`", () => {
    const w = new World();
    const [a, b] = [w.add("a"), w.add("b")];
    const off = w.add("off", { relay: { kind: "off" } });
    const ips = [a.endpoint.ip, b.endpoint.ip];
    w.allows = (from, to) => !(ips.includes(from.ip) && ips.includes(to.ip));
    for (const end of [a, b]) end.connect(off.endpoint);
    w.run(2_000);
    a.connect(b);
    w.run(8_000);
    expect(a.linkTo(b)?.path.kind).toBe("none");
    expect(off.links.drops()).toEqual({});
  });
});
