import { describe, expect, it } from "vitest";
import type { EngineCommand } from "../../src/base/engine.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { DropCounters } from "../../src/link/drop-counters.ts";
import {
  CIRCUIT_LIFE_MS,
  type DirectLink,
  MAX_CIRCUITS_PER_LINK,
  Relays,
  type RelaysOutput,
} from "../../src/link/relays.ts";
import type { LinkMessage } from "../../src/wire/link-messages.ts";
import { type TestNode, World } from "./world.ts";

const SELF = 100n;
const TOP = 0x8000_0000;

class Fixture {
  readonly drops = new DropCounters();
  readonly relays: Relays;
  links: DirectLink[];

  constructor(links: DirectLink[]) {
    this.links = links;
    const rng = new SeededRng(1);
    const directLinks = () => this.links;
    this.relays = new Relays({ self: SELF, rng, links: { directLinks }, drops: this.drops });
  }

  receive(now: number, link: number, message: LinkMessage): RelaysOutput[] {
    const from = this.links.find((other) => other.link === link);
    if (from !== undefined) this.relays.receive(now, from, message);
    return this.outputs();
  }

  outputs(): RelaysOutput[] {
    const outputs: RelaysOutput[] = [];
    for (let out = this.relays.poll(); out !== undefined; out = this.relays.poll()) {
      outputs.push(out);
    }
    return outputs;
  }

  sent(outputs: readonly RelaysOutput[]): [number, LinkMessage][] {
    return outputs.flatMap((out) => (out.kind === "send" ? [[out.link, out.message]] : []));
  }
}

/** Peers 1 (address 10, below us) and 2 (address 200, above us). */
const TWO: DirectLink[] = [
  { link: 1, address: 10n },
  { link: 2, address: 200n },
];

/** The label of the first relay-open in there. */
function labelOf(sent: readonly [number, LinkMessage][]): number {
  const message = sent[0]?.[1];
  if (message?.type !== "relay-open") throw new Error("no relay-open was sent");
  return message.label;
}

function open(label: number, target = 200n): Extract<LinkMessage, { type: "relay-open" }> {
  const lists = { visited: [10n], hints: [] };
  return { type: "relay-open", label, hopsLeft: 2, origin: 10n, target, ...lists };
}

describe("a relay", () => {
  it("joins two hops, with one label each, and takes them down again", () => {
    const fixture = new Fixture([...TWO]);
    const asked = fixture.sent(fixture.receive(0, 1, open(TOP + 5)));
    expect(asked).toMatchObject([[2, { type: "relay-open", hopsLeft: 1, visited: [10n, 200n] }]]);
    const label = labelOf(asked);
    expect(label).toBeGreaterThanOrEqual(TOP);
    expect(fixture.receive(1, 2, { type: "relay-ok", label })).toMatchObject([
      { command: { op: "label", ingress: 1, label: TOP + 5, to: { session: 2, label } } },
      { command: { op: "label", ingress: 2, label, to: { session: 1, label: TOP + 5 } } },
      { kind: "send", link: 1, message: { type: "relay-ok", label: TOP + 5 } },
    ]);
    fixture.relays.linkLost(2, 2, true);
    expect(fixture.outputs()).toMatchObject([
      { command: { op: "label-remove", ingress: 1 } },
      { kind: "send", link: 1, message: { type: "relay-close", label: TOP + 5 } },
      { command: { op: "label-remove", ingress: 2 } },
    ]);
    expect(fixture.relays.count).toBe(0);
    expect(fixture.relays.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it("forgets a circuit nobody refreshes, and keeps one that is", () => {
    const fixture = new Fixture([...TWO]);
    const asked = fixture.sent(fixture.receive(0, 1, open(TOP + 5)));
    const label = labelOf(asked);
    fixture.receive(0, 2, { type: "relay-ok", label });
    const again = fixture.sent(fixture.receive(CIRCUIT_LIFE_MS - 1, 1, open(TOP + 5)));
    expect(again).toMatchObject([[2, { type: "relay-open", label }]]);
    fixture.relays.timeout(2 * CIRCUIT_LIFE_MS - 2);
    expect(fixture.relays.count).toBe(1);
    fixture.relays.timeout(2 * CIRCUIT_LIFE_MS - 1);
    expect(fixture.relays.count).toBe(0);
    const told = fixture.sent(fixture.outputs());
    expect(told.map(([link, { type }]) => [link, type])).toEqual([
      [1, "relay-close"],
      [2, "relay-close"],
    ]);
  });

  it("tries the next neighbour after a failure or silence, then fails with what it visited", () => {
    const links = [...TWO, { link: 3, address: 201n }, { link: 4, address: 199n }];
    const fixture = new Fixture(links);
    const asked: number[] = [];
    let step = fixture.sent(fixture.receive(0, 1, open(TOP + 5, 205n)));
    asked.push(step[0]?.[0] ?? 0);
    const label = labelOf(step);
    const fail = { type: "relay-fail", label, visited: [199n] } as const;
    step = fixture.sent(fixture.receive(1, asked[0] ?? 0, fail));
    asked.push(step[0]?.[0] ?? 0);
    fixture.relays.timeout(10_000);
    step = fixture.sent(fixture.outputs());
    expect(asked).toEqual([3, 2]);
    expect(step.map(([link, { type }]) => [link, type])).toEqual([
      [2, "relay-close"],
      [1, "relay-fail"],
    ]);
    const failed = step[1]?.[1];
    const visited = failed?.type === "relay-fail" ? [...failed.visited].sort() : [];
    expect(visited).toEqual([10n, 199n, 200n, 201n]);
  });

  it("refuses labels of the wrong half, the number zero and its own address as origin", () => {
    const fixture = new Fixture([...TWO]);
    fixture.receive(0, 1, open(5));
    fixture.receive(0, 2, { ...open(0), origin: 200n, target: 10n });
    fixture.receive(0, 1, { ...open(TOP + 1), origin: SELF });
    expect(fixture.relays.count).toBe(0);
    expect(fixture.drops.snapshot()).toEqual({ "bad-field": 3 });
  });

  it("takes an answer only from the link it asked", () => {
    const fixture = new Fixture([...TWO, { link: 3, address: 300n }]);
    const asked = fixture.sent(fixture.receive(0, 1, open(TOP + 5)));
    const label = labelOf(asked);
    expect(fixture.receive(1, 3, { type: "relay-ok", label })).toEqual([]);
    expect(fixture.receive(1, 1, { type: "relay-ok", label: TOP + 5 })).toEqual([]);
    expect(fixture.drops.snapshot()).toEqual({ "unknown-label": 1, "bad-field": 1 });
  });

  it("lets one link open 50 a second and 1,024 in all", () => {
    const fixture = new Fixture([...TWO]);
    let label = TOP + 1;
    for (let i = 0; i < 60; i++) fixture.receive(0, 1, open(label++, SELF));
    expect(fixture.relays.count).toBe(50);
    expect(fixture.drops.snapshot()).toEqual({ "rate-limited": 10 });
    for (let i = 0; i < 1_200; i++) fixture.receive(1_000 + 25 * i, 1, open(label++, SELF));
    expect(fixture.relays.count).toBeLessThanOrEqual(MAX_CIRCUITS_PER_LINK);
    expect(fixture.drops.snapshot()["table-full"]).toBeGreaterThan(0);
  });
});

describe("the search for a relay", () => {
  it("backtracks out of a dead end", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const world = new World({ seed });
      const [a, x, y, r, b] = ["a", "x", "y", "r", "b"].map((name) => world.add(name));
      if (!a || !x || !y || !r || !b) throw new Error("five nodes");
      // a - x - y is a dead end, a - r - b the way.
      const edges = [
        [a, x],
        [x, y],
        [a, r],
        [r, b],
      ] as const;
      const allowed = new Set(
        edges.flatMap(([p, q]) => [
          `${p.endpoint.ip} ${q.endpoint.ip}`,
          `${q.endpoint.ip} ${p.endpoint.ip}`,
        ]),
      );
      world.allows = (from, to) => allowed.has(`${from.ip} ${to.ip}`);
      for (const [p, q] of edges) p.connect(q.endpoint);
      world.run(1_000);
      a.connect(b);
      world.run(4_000);
      expect(a.linkTo(b)?.path).toEqual({ kind: "relay", via: r.address });
    }
  });

  it("does not go further than three relays", () => {
    const world = new World();
    const nodes = ["a", "p", "q", "r", "s", "b"].map((name) => world.add(name));
    const chain = nodes.map((node) => node.endpoint.ip);
    world.allows = (from, to) => Math.abs(chain.indexOf(from.ip) - chain.indexOf(to.ip)) === 1;
    for (const [i, node] of nodes.entries()) {
      const next = nodes[i + 1];
      if (next !== undefined) node.connect(next.endpoint);
    }
    world.run(1_000);
    const [a, , , , s, b] = nodes;
    if (!a || !s || !b) throw new Error("six nodes");
    a.connect(b);
    a.connect(s);
    world.run(10_000);
    expect(a.linkTo(s)?.path.kind).toBe("relay");
    expect(a.linkTo(b)?.path.kind).toBe("none");
    a.say(s, new Uint8Array(5_000), 1);
    world.run(2_000);
    expect(a.of("sent")).toMatchObject([{ token: 1, ok: true }]);
  });
});

describe("a circuit of which one relay lost half", () => {
  it.each(["towards the asker", "towards the other"])(
    "%s: the pair talks again within 15 s",
    (side) => {
      for (let seed = 1; seed <= 5; seed++) {
        const world = new World({ seed });
        const [a, r, b] = [world.add("a"), world.add("r"), world.add("b")];
        const routes: Extract<EngineCommand, { op: "label" }>[] = [];
        const apply = r.engine.apply.bind(r.engine);
        r.engine.apply = (commands) => {
          for (const command of commands) if (command.op === "label") routes.push(command);
          apply(commands);
        };
        const direct = [a.endpoint.ip, b.endpoint.ip];
        world.allows = (from, to) => !(direct.includes(from.ip) && direct.includes(to.ip));
        for (const node of [a, b]) node.connect(r.endpoint);
        world.run(1_000);
        a.connect(b);
        world.run(10_000);
        expect(a.linkTo(b)?.path).toEqual({ kind: "relay", via: r.address });
        const from = side === "towards the asker" ? b : a;
        const ingress = r.linkTo(from)?.peer.link;
        const lost = routes.filter((route) => route.ingress === ingress);
        expect(lost.length).toBeGreaterThan(0);
        apply(lost.map(({ label }) => ({ op: "label-remove", ingress: ingress ?? 0, label })));
        const talked = (node: TestNode, to: TestNode) => {
          node.say(to, Uint8Array.of(1), 0xbeef);
          return world.run(5_000, () =>
            node.of("sent").some(({ token, ok }) => token === 0xbeef && ok),
          );
        };
        for (let waited = 0; waited < 10_000; waited += 100) {
          world.run(100);
          // others reach the peer: that is what the ring finds out when a link is silent
          for (const node of [a, b]) {
            const silent = node.of("silent").at(-1);
            if (silent !== undefined) node.input({ kind: "path-broken", link: silent.link });
          }
        }
        expect(talked(a, b), `seed ${seed}`).toBe(true);
        expect(talked(b, a), `seed ${seed}`).toBe(true);
      }
    },
  );
});
