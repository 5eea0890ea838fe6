import { describe, expect, it } from "vitest";
import { Outbox } from "../../src/base/machine.ts";
import type { RingAddress } from "../../src/base/ring-address.ts";
import { Drops } from "../../src/ring/drops.ts";
import { Forwarder } from "../../src/ring/forward.ts";
import { LinkTable, type RingLink } from "../../src/ring/link-table.ts";
import type { RingOutput } from "../../src/ring/ring-types.ts";
import { Tokens } from "../../src/ring/tokens.ts";
import { type Envelope, parseEnvelope } from "../../src/wire/ring-messages.ts";

const SELF: RingAddress = 1_000n;
const DEAD: RingAddress = 2_000n;

/** A node with usable links to `addresses`, none of them nearer to DEAD than itself but DEAD's own. */
class Bench {
  readonly links = new LinkTable();
  readonly #outbox = new Outbox<RingOutput>();
  readonly #forwarder: Forwarder;

  constructor(addresses: readonly RingAddress[]) {
    for (const [i, address] of addresses.entries()) this.#link(i + 1, address);
    this.#forwarder = new Forwarder({
      self: SELF,
      links: this.links,
      tokens: new Tokens(),
      drops: new Drops(),
      outbox: this.#outbox,
      deliver: () => undefined,
    });
    this.#forwarder.inRing = true;
  }

  /** Passes the message on and lets every link fail. @returns the envelopes that left */
  passToNobody(envelope: Envelope, from: RingLink): Envelope[] {
    const left: Envelope[] = [];
    this.#forwarder.pass(0, envelope, from);
    for (let out = this.#outbox.poll(); out !== undefined; out = this.#outbox.poll()) {
      if (out.kind !== "send") continue;
      const sent = parseEnvelope(out.bytes);
      if (sent.ok) left.push(sent.value);
      this.#forwarder.sent(0, out.token, false);
    }
    return left;
  }

  #link(number: number, address: RingAddress): void {
    const peer = {
      ...{ link: number, address, publicKey: new Uint8Array(32), certificate: new Uint8Array(0) },
      ...{ name: `n${number}`, boot: 1n, minorVersion: 0, capabilities: 0 },
      ...{ groups: [], serial: 0n, issuers: [] },
      ...{ digest: new Uint8Array(32), candidates: [], initiatedHere: true },
    };
    const link = this.links.add(0, peer, "near", true);
    link.path = { kind: "direct", socket: 0, endpoint: { ip: "192.0.2.1", port: number } };
  }
}

function envelope(visited: readonly RingAddress[]): Envelope {
  return {
    ...{ source: 10n, destination: DEAD, nearest: false, excludeSource: false, hopLimit: 50 },
    ...{ payloadType: 0x24, payload: new Uint8Array(1), visited: [...visited] },
    ...{ sourceAgent: undefined, destinationAgent: undefined },
  };
}

describe("a destination that does not answer", () => {
  const addresses = [DEAD, 900n, 800n, 700n, 600n, 500n];

  it("costs a hop a bounded number of tries, and every further one is marked as a detour", () => {
    const bench = new Bench(addresses);
    const from = bench.links.all().find((link) => link.address === 500n) as RingLink;
    const left = bench.passToNobody(envelope([]), from);
    expect(left.length).toBe(4);
    expect(left.map((one) => one.visited.includes(SELF))).toEqual([false, true, true, true]);
  });

  it("costs one try at each hop of a detour, so that copies do not multiply", () => {
    const bench = new Bench(addresses);
    const from = bench.links.all().find((link) => link.address === 500n) as RingLink;
    expect(bench.passToNobody(envelope([400n]), from).length).toBe(1);
  });
});
