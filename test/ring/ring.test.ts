import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import type { RingOutput } from "../../src/ring/ring.ts";
import { MAX_ROUTED_PAYLOAD } from "../../src/wire/ring-messages.ts";
import { type TestNode, VirtualNet } from "./virtual-net.ts";

const ECHO = { kind: "route", payloadType: 0x25, excludeSelf: false } as const;

function ringOf(count: number, seed: number): { net: VirtualNet; nodes: TestNode[] } {
  const net = new VirtualNet({ seed });
  const nodes: TestNode[] = [];
  for (let i = 0; i < count; i++) {
    const node = net.add(net.randomAddress());
    const host = nodes[0];
    nodes.push(node);
    if (host !== undefined) net.bootstrap(node, host);
    net.run(net.now + 200);
  }
  expect(net.runUntil(() => net.isClosed() && net.isStable(), 10_000)).toBeDefined();
  return { net, nodes };
}

function outputs<K extends RingOutput["kind"]>(
  node: TestNode,
  kind: K,
): Extract<RingOutput, { kind: K }>[] {
  return node.outputs.filter((one): one is Extract<RingOutput, { kind: K }> => one.kind === kind);
}

describe("routing", () => {
  it("a lone node delivers to itself and reports what it cannot deliver", () => {
    const net = new VirtualNet({ seed: 1 });
    const node = net.add(7n);
    const payload = Uint8Array.of(1);
    net.feed(node, { ...ECHO, to: 7n, mode: "exact", payload });
    net.feed(node, { ...ECHO, to: 99n, mode: "nearest", payload });
    expect(net.deliveries.map((one) => one.hops)).toEqual([0, 0]);
    net.feed(node, { ...ECHO, to: 99n, mode: "exact", payload });
    net.feed(node, { ...ECHO, to: 99n, mode: "nearest", payload, excludeSelf: true });
    expect(outputs(node, "undeliverable").map((one) => one.reason)).toEqual([
      "no-progress",
      "no-progress",
    ]);
  });

  it("an address nobody owns ends as undeliverable or as a counted drop", () => {
    const { net, nodes } = ringOf(12, 4);
    const [node] = nodes;
    if (node === undefined) throw new Error("no node");
    const payload = new Uint8Array(20);
    net.feed(node, { ...ECHO, to: 12345n, mode: "exact", payload });
    net.run(net.now + 5_000);
    const dropped = nodes.reduce((sum, one) => sum + (one.ring.drops().get("no-progress") ?? 0), 0);
    expect(outputs(node, "undeliverable").length + dropped).toBe(1);
    expect(net.deliveries).toEqual([]);
  });

  it("refuses payloads that are too long", () => {
    const net = new VirtualNet({ seed: 1 });
    const node = net.add(7n);
    const payload = new Uint8Array(MAX_ROUTED_PAYLOAD + 1);
    net.feed(node, { ...ECHO, to: 7n, mode: "exact", payload });
    expect(outputs(node, "undeliverable")[0]?.reason).toBe("too-long");
  });

  it("a node that joins is answered through its agent", () => {
    const { net, nodes } = ringOf(14, 6);
    const [host] = nodes;
    const joiner = net.add(net.randomAddress());
    if (host === undefined) throw new Error("no host");
    net.bootstrap(joiner, host);
    net.runUntil(() => joiner.links.size > 0, 1_000);
    expect(joiner.ring.view().stable).toBe(false);
    net.deliveries.length = 0;
    for (const node of nodes) {
      net.feed(joiner, { ...ECHO, to: node.address, mode: "exact", payload: new Uint8Array(20) });
    }
    net.run(net.now + 300);
    expect(net.deliveries.length).toBe(nodes.length);
    for (const { to } of [...net.deliveries]) {
      const node = nodes.find((one) => one.address === to);
      if (node !== undefined) {
        const payload = new Uint8Array(20);
        net.feed(node, { ...ECHO, to: joiner.address, mode: "exact", payload });
      }
    }
    net.run(net.now + 1_000);
    expect(net.deliveries.filter((one) => one.to === joiner.address).length).toBe(nodes.length);
  });

  it("goes on by another link when the first stays silent", () => {
    const { net, nodes } = ringOf(20, 8);
    const dead = nodes[3];
    if (dead === undefined) throw new Error("no node");
    net.crash(dead);
    const live = net.live();
    const { share } = net.routableShare(live);
    expect(share).toBeGreaterThan(0.99);
  });
});

describe("neighbours", () => {
  it("gives the role near to the near links and closes nothing in a small ring", () => {
    const { net, nodes } = ringOf(9, 2);
    net.run(net.now + 120_000);
    expect(net.closes).toEqual([]);
    for (const node of nodes) {
      const near = outputs(node, "set-role").filter((one) => one.role === "near");
      expect(near.length).toBeGreaterThan(0);
      expect(node.ring.view().sizeEstimate).toBe(9);
    }
  });

  it("closes its own links that nobody needs after a minute, and the ring stays whole", () => {
    const { net } = ringOf(26, 3);
    net.run(net.now + 90_000);
    expect(net.closes.length).toBeGreaterThan(0);
    expect(new Set(net.closes)).toEqual(new Set(["idle"]));
    expect(net.isClosed() && net.isStable()).toBe(true);
    expect(net.routableShare().share).toBe(1);
  });

  it("convicts a dead neighbour, and only it", () => {
    const { net, nodes } = ringOf(12, 5);
    const dead = nodes[4];
    if (dead === undefined) throw new Error("no node");
    const peers = dead.links.size;
    net.crash(dead);
    expect(net.runUntil(() => net.isClosed() && net.isStable(), 15_000)).toBeDefined();
    net.run(net.now + 10_000);
    expect(net.closes).toEqual(new Array(peers).fill("convicted"));
    expect(net.isClosed() && net.isStable()).toBe(true);
  });

  it("takes a restarted node back at once, quarantine or not", () => {
    const { net, nodes } = ringOf(8, 7);
    const dead = nodes[2];
    const host = nodes[0];
    if (dead === undefined || host === undefined) throw new Error("no node");
    net.crash(dead);
    expect(net.runUntil(() => net.isClosed() && net.isStable(), 15_000)).toBeDefined();
    const again = net.add(dead.address);
    net.nodes.splice(net.nodes.indexOf(dead), 1);
    net.bootstrap(again, host);
    expect(net.runUntil(() => net.isClosed() && net.isStable(), 15_000)).toBeLessThan(12_000);
  });
});

describe("strangers", () => {
  it("random messages never throw and are counted", () => {
    const { net, nodes } = ringOf(3, 9);
    const [node] = nodes;
    if (node === undefined) throw new Error("no node");
    const rng = new SeededRng(3);
    const [id, link] = [...node.links][0] ?? [];
    if (id === undefined || link === undefined) throw new Error("no link");
    for (let i = 0; i < 5_000; i++) {
      const bytes = rng.bytes(rng.u32() % 150);
      if (bytes.length > 0) bytes[0] = 0x10 + (i % 5);
      if (bytes.length > 1 && i % 3 === 0) bytes[1] = i % 32;
      net.feed(node, { kind: "message", link: id, address: link.peer.address, bytes });
    }
    net.feed(node, { kind: "message", link: 9_999, address: 1n, bytes: Uint8Array.of(0x10) });
    net.feed(node, { kind: "sent", token: 424_242, ok: false });
    net.feed(node, { kind: "silent", link: 9_999, address: 1n });
    expect(node.ring.drops().get("bad-field")).toBeGreaterThan(0);
    expect(node.ring.drops().get("not-for-us")).toBe(1);
  });
});
