import { describe, expect, it } from "vitest";
import { below, SeededRng, shuffled, unit } from "../../src/base/rng.ts";
import { type TestNode, World } from "./world.ts";

/** A few in the unit tests; more by WEFT_SEEDS when the link layer changes. */
const SEEDS = Number(process.env["WEFT_SEEDS"] ?? 3);
const NODES = 6;
const CHAOS_MS = 90_000;
const STEP_MS = 500;

/** Random faults for a while, then none: every pair must find together by itself. */
class Swarm {
  readonly world: World;
  readonly rng: SeededRng;
  /** The living incarnation of each place. */
  readonly nodes: TestNode[] = [];
  readonly #blocked = new Set<string>();
  readonly #heardSilent = new Map<TestNode, number>();
  #boot = 100n;

  constructor(seed: number) {
    this.rng = new SeededRng(seed, 5);
    this.world = new World({ seed, loss: 0.05, duplication: 0.02, jitterMs: 30 });
    for (let i = 0; i < NODES; i++) this.nodes.push(this.world.add(`n${i}`));
    this.world.allows = (from, to) => !this.#blocked.has(pairOf(from.ip, to.ip));
  }

  chaos(): void {
    const until = this.world.now + CHAOS_MS;
    while (this.world.now < until) {
      this.#fault();
      this.live();
    }
  }

  heal(): void {
    this.#blocked.clear();
    this.world.loss = 0;
    for (const node of this.nodes) this.#thaw(node);
  }

  /** What the layers above do: connect to all, answer silence. */
  live(): void {
    for (const node of this.nodes) {
      for (const peer of this.nodes) {
        if (peer !== node && node.linkTo(peer) === undefined && unit(this.rng) < 0.2) {
          node.connect(peer);
        }
      }
      this.#answerSilence(node);
    }
    this.world.run(STEP_MS);
  }

  #answerSilence(node: TestNode): void {
    const silents = node.of("silent");
    for (const { link } of silents.slice(this.#heardSilent.get(node) ?? 0)) {
      if (unit(this.rng) < 0.5) node.input({ kind: "path-broken", link });
      else node.input({ kind: "close", link, reason: "convicted" });
    }
    this.#heardSilent.set(node, silents.length);
  }

  #fault(): void {
    const [a, b] = shuffled(this.rng, this.nodes) as [TestNode, TestNode];
    const pair = pairOf(a.endpoint.ip, b.endpoint.ip);
    switch (below(this.rng, 8)) {
      case 0:
      case 1:
        this.#blocked.add(pair);
        break;
      case 2:
        this.#blocked.delete(pair);
        break;
      case 3:
        a.isFrozen = true;
        break;
      case 4:
        this.#thaw(a);
        break;
      case 5:
        if (unit(this.rng) < 0.3) this.#restart(a);
        break;
      case 6: {
        const link = a.linkTo(b)?.peer.link;
        if (link !== undefined) a.input({ kind: "close", link, reason: "whim" });
        break;
      }
      case 7:
        if (a.linkTo(b) !== undefined && !a.isFrozen) a.say(b, new Uint8Array(2_000), 1);
        break;
    }
  }

  #thaw(node: TestNode): void {
    node.isFrozen = false;
    node.tick();
  }

  #restart(node: TestNode): void {
    node.kill();
    const i = this.nodes.indexOf(node);
    const { endpoint, name } = node;
    this.nodes[i] = this.world.add(name, { endpoint, seed: i + 1, boot: this.#boot++ });
  }
}

function pairOf(a: string, b: string): string {
  return [a, b].sort().join(" ");
}

describe("a swarm", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`finds together again after random faults, seed ${seed}`, () => {
      const swarm = new Swarm(seed);
      swarm.chaos();
      swarm.heal();
      const until = swarm.world.now + 100_000;
      while (swarm.world.now < until) swarm.live();
      for (const node of swarm.nodes) {
        const messages = node.of("sent").length;
        for (const peer of swarm.nodes) {
          if (peer === node) continue;
          expect([node.name, peer.name, node.linkTo(peer)?.path.kind]).toEqual([
            node.name,
            peer.name,
            "direct",
          ]);
          node.say(peer, Uint8Array.of(1), 7);
        }
        swarm.world.run(2_000);
        const outcomes = node.of("sent").slice(messages);
        expect(outcomes.map(({ ok }) => ok)).toEqual(new Array(NODES - 1).fill(true));
        // A link that was up once is down once: no session is ever lost in the books.
        const open = node.of("link-up").length - node.of("link-down").length;
        expect(open).toBe(node.links.views().length);
      }
    });
  }
});
