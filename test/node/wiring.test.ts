import { describe, expect, it } from "vitest";
import type { LinksOutput, PathView } from "../../src/link/link-types.ts";
import type { Parts } from "../../src/node/parts.ts";
import { Wiring } from "../../src/node/wiring.ts";

/** A machine that says what it was given to say, and remembers what it was told. */
class Stub {
  readonly told: unknown[] = [];
  readonly #says: unknown[];
  constructor(says: readonly unknown[] = []) {
    this.#says = [...says];
  }
  handle(_now: number, input: unknown): void {
    this.told.push(input);
  }
  poll(): unknown {
    return this.#says.shift();
  }
}

/** What vnet hears of the paths that links tell. */
function heardByVnet(outputs: readonly LinksOutput[]): unknown[] {
  const vnet = new Stub();
  const quiet = {
    stun: new Stub(),
    streams: new Stub(),
    ring: new Stub(),
    dht: new Stub(),
    notices: new Stub(),
  };
  const parts = { ...quiet, self: 1n, links: new Stub(outputs), leases: new Stub(), vnet };
  new Wiring(parts as unknown as Parts, undefined).pump(0);
  return vnet.told;
}

describe("a handshake", () => {
  it("is news each time, and a link that opens again under other groups is none", () => {
    const notices = { greeted: () => undefined, poll: () => undefined };
    const links = new Stub([{ kind: "greeted", link: 7, revocations: 0, shared: 0 }]);
    const others = [stub("stun"), stub("streams"), stub("ring"), stub("dht"), stub("leases")];
    const parts = { ...Object.fromEntries(others), notices, links, vnet: new Stub() };
    const wiring = new Wiring(parts as unknown as Parts, undefined);
    wiring.pump(0);
    expect(wiring.poll()).toEqual({ kind: "handshake" });
    expect(wiring.poll()).toBeUndefined();
  });
});

function stub(name: string): [string, Stub] {
  return [name, new Stub()];
}

describe("a path is told to vnet as usable", () => {
  const direct: PathView = { kind: "direct", socket: 0, endpoint: { ip: "192.0.2.1", port: 1 } };
  const path = { kind: "path", link: 7, address: 2n, rttMs: undefined } as const;

  it("once the peer was heard: a frame that overtakes the handshake is lost", () => {
    const told = heardByVnet([
      { ...path, path: { kind: "none" }, isConfirmed: false },
      { ...path, path: direct, isConfirmed: false },
      { ...path, path: direct, isConfirmed: true },
      { ...path, path: { kind: "none" }, isConfirmed: true },
    ]);
    expect(told).toEqual(
      [false, false, true, false].map((usable) => ({ kind: "path", link: 7, usable })),
    );
  });
});
