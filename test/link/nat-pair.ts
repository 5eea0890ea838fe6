/** Two members behind NATs and a public one that introduces them: the smallest world of a punch. */
import type { Endpoint } from "../../src/base/net.ts";
import type { Millis } from "../../src/base/time.ts";
import type { TraversalMode } from "../../src/link/traversal-mode.ts";
import { NAT_KINDS, NatBox, type NatOptions } from "./nat-box.ts";
import { type TestNode, World, type WorldOptions } from "./world.ts";

export type PairKind = keyof typeof NAT_KINDS | "public";

export const PAIR_KINDS = ["public", ...Object.keys(NAT_KINDS)] as PairKind[];

export interface PairOptions extends WorldOptions {
  readonly guard?: boolean;
  readonly hairpin?: boolean;
  readonly lifeMs?: Millis;
  /** Of both members behind NATs. */
  readonly traversal?: TraversalMode;
  /** Of the first one, where they differ. */
  readonly traversalOfA?: TraversalMode;
  /** Both homes are customers of one carrier with this kind of NAT. */
  readonly carrier?: keyof typeof NAT_KINDS;
  /** Both machines are in one home. */
  readonly isOneHome?: boolean;
}

export interface Pair {
  readonly world: World;
  readonly introducer: TestNode;
  readonly a: TestNode;
  readonly b: TestNode;
}

/** Both sides are linked to the introducer, not to one another. */
export function natPair(kindA: PairKind, kindB: PairKind, options: PairOptions = {}): Pair {
  const world = new World({ latencyMs: 40, ...options });
  const introducer = world.add("introducer");
  const carrier = options.carrier && addBox(world, options.carrier, "198.51.100.1", options);
  const boxA = makeBox(world, kindA, "198.51.100.11", options, carrier);
  const boxB = options.isOneHome ? boxA : makeBox(world, kindB, "198.51.100.12", options, carrier);
  const { traversal, traversalOfA = traversal } = options;
  const a = addMember(world, "a", { last: 2, nat: boxA, traversal: traversalOfA });
  const b = addMember(world, "b", { last: 3, nat: boxB, traversal });
  for (const node of [a, b]) node.connect(introducer.endpoint);
  world.run(3_000);
  return { world, introducer, a, b };
}

/** As the ring does it: over the ring, with the endpoints that its lists name. */
export function introduce({ world, introducer, a, b }: Pair): void {
  world.run(1);
  const link = introducer.linkTo(b);
  const seen = link?.path.kind === "direct" ? [link.path.endpoint] : [];
  const told: readonly Endpoint[] = link?.peer.candidates ?? [];
  const endpoints = [...seen, ...told];
  a.input({
    kind: "connect",
    to: { kind: "address", address: b.address, endpoints },
    role: "near",
  });
}

/** Runs until both sides have a path of that kind. @returns how long it took; undefined = too long */
export function runUntil(
  pair: Pair,
  kind: "direct" | "relay",
  boundMs: Millis,
): Millis | undefined {
  const { world, a, b } = pair;
  const before = world.now;
  const isThere = () =>
    [a.linkTo(b), b.linkTo(a)].every((link) => {
      const is = link?.path.kind;
      return is === kind || (kind === "relay" && is === "direct");
    });
  return world.run(boundMs, isThere) ? world.now - before : undefined;
}

function makeBox(
  world: World,
  kind: PairKind,
  outside: string,
  options: PairOptions,
  carrier: NatBox | undefined,
): NatBox | undefined {
  if (kind === "public") return undefined;
  const inside = carrier === undefined ? outside : outside.replace("198.51.100", "100.64.0");
  return addBox(world, kind, inside, { ...options, ...(carrier && { behind: carrier }) });
}

function addBox(
  world: World,
  kind: keyof typeof NAT_KINDS,
  outside: string,
  options: PairOptions & Pick<NatOptions, "behind">,
): NatBox {
  const { guard = true, hairpin = false, lifeMs, behind } = options;
  const box = new NatBox({
    ...NAT_KINDS[kind],
    outside,
    rng: world.rng.fork(`nat ${outside}`),
    now: () => world.now,
    guard,
    hairpin,
    ...(lifeMs !== undefined && { lifeMs }),
    ...(behind !== undefined && { behind }),
  });
  world.boxes.push(box);
  return box;
}

interface MemberOptions {
  /** Of its address. */
  readonly last: number;
  readonly nat: NatBox | undefined;
  readonly traversal: TraversalMode | undefined;
}

function addMember(world: World, name: string, { last, nat, traversal }: MemberOptions): TestNode {
  const ip = nat === undefined ? `203.0.113.${last}` : `192.168.1.${last}`;
  return world.add(name, {
    endpoint: { ip, port: 4_000 },
    ...(nat !== undefined && { nat }),
    ...(traversal !== undefined && { traversal }),
  });
}
