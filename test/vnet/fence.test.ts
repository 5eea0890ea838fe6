import { describe, expect, it } from "vitest";
import type { FilterEntry } from "../../src/base/engine.ts";
import { REOPENED } from "../../src/link/link-types.ts";
import { emitOwnRecords, parseOwnRecords } from "../../src/wire/own-records.ts";
import { hex } from "../support/vectors.ts";
import { Bench, FakeDht, makeMember } from "./harness.ts";

const B = makeMember(2);
const C = makeMember(3);
const MAC_B = "02:00:00:00:00:02";
const IP_B = "10.9.0.6";
const CLAIM: FilterEntry = { mac: MAC_B, ips: [IP_B] };

function start(): Bench {
  const bench = new Bench(1, new FakeDht());
  bench.input({ kind: "timeout" });
  bench.bind("10.9.0.5");
  bench.dht.lease(IP_B, MAC_B, B);
  bench.dht.mac(MAC_B, B);
  bench.take();
  return bench;
}

const up = (bench: Bench): void => bench.linkUp(B, 7);
let sequence = 0;
const says = (bench: Bench, entries: readonly FilterEntry[]): void => {
  const bytes = emitOwnRecords({ sequence: ++sequence, entries });
  bench.input({ kind: "message", link: 7, address: B.address, bytes });
};
const filters = (bench: Bench): (readonly FilterEntry[])[] =>
  bench.commands().flatMap((command) => (command.op === "filter" ? [command.entries] : []));

/** Records whose rest is what `leftSeconds` says at the moment. */
function ageing(dht: FakeDht, leftSeconds: () => number): FakeDht["answer"] {
  const answer = dht.answer.bind(dht);
  return (input) => {
    const result = answer(input);
    return result.status === "found" ? { ...result, remainingSeconds: leftSeconds() } : result;
  };
}

describe("a site of hundreds", () => {
  const macAt = (i: number): string => `02:00:00:00:02:${i.toString(16).padStart(2, "0")}`;

  it("is confirmed at the pace of the DHT: eight claims at a time", () => {
    const bench = start();
    up(bench);
    const entries = Array.from({ length: 250 }, (_, i) => ({
      mac: macAt(i),
      ips: [`10.9.3.${i}`],
    }));
    for (const { mac, ips } of entries) bench.dht.lease(ips[0] ?? "", mac, B);
    bench.holdsDht = true;
    says(bench, entries);
    expect(bench.waiting.length).toBe(16);
    bench.answerDht();
    bench.sleep(10_000);
    expect(filters(bench).at(-1)).toHaveLength(250);
  });

  it("keeps no other peer and no frame waiting for its other claims", () => {
    const bench = start();
    up(bench);
    bench.linkUp(C, 8);
    bench.holdsDht = true;
    says(
      bench,
      Array.from({ length: 250 }, (_, i) => ({ mac: macAt(i), ips: [`10.9.3.${i}`] })),
    );
    const before = bench.waiting.length;
    const bytes = emitOwnRecords({ sequence: 1, entries: [{ mac: MAC_B, ips: [IP_B] }] });
    bench.input({ kind: "message", link: 8, address: C.address, bytes });
    expect(bench.waiting.length).toBe(before + 2);
    const upcall = { kind: "held", session: 7, mac: macAt(200), ip: "10.9.3.200" } as const;
    bench.input({ kind: "upcall", upcall });
    expect(bench.waiting.length).toBe(before + 4);
  });

  it("is announced at the pace of the DHT: four MACs at a time", () => {
    const bench = new Bench(1, new FakeDht());
    bench.holdsDht = true;
    for (let i = 0; i < 250; i++) bench.bind(`10.9.3.${i}`, macAt(i));
    expect(bench.waiting.length).toBe(4);
    bench.answerDht();
    expect(bench.asked.filter((input) => input.kind === "create").length).toBe(250);
  });
});

describe("what we tell", () => {
  it("our claims at link-up, and to everybody when they change", () => {
    const bench = start();
    up(bench);
    const [sent] = bench.takeKind("send");
    expect(sent).toMatchObject({ link: 7, reliable: true });
    expect(parseOwnRecords(sent?.bytes ?? hex(""))).toEqual({
      ok: true,
      value: { sequence: 1, entries: [{ mac: bench.mac, ips: ["10.9.0.5"] }] },
    });
    bench.bind("10.9.0.5");
    expect(bench.takeKind("send")).toEqual([]);
    bench.input({ kind: "sent", token: sent?.token ?? 0, ok: true });
    bench.bind("10.9.0.7", "02:00:00:00:00:33");
    expect(bench.takeKind("send").length).toBe(1);
  });

  it("one message at a time, the newest claims after it", () => {
    const bench = new Bench(1, new FakeDht());
    bench.linkUp(makeMember(2), 7);
    const first = bench.takeKind("send")[0];
    for (let i = 1; i <= 250; i++) {
      bench.bind(`10.9.1.${i}`, `02:00:00:00:01:${i.toString(16).padStart(2, "0")}`);
    }
    expect(bench.takeKind("send")).toEqual([]);
    bench.input({ kind: "sent", token: first?.token ?? 0, ok: true });
    const [next, ...others] = bench.takeKind("send");
    expect(others).toEqual([]);
    const records = parseOwnRecords(next?.bytes ?? new Uint8Array(0));
    expect(records.ok && records.value.entries.length).toBe(250);
    bench.input({ kind: "sent", token: next?.token ?? 0, ok: true });
    expect(bench.takeKind("send")).toEqual([]);
  });

  it("again when it was not acknowledged, three times at most", () => {
    const bench = start();
    up(bench);
    let sends = 0;
    for (let send = bench.takeKind("send")[0]; send; send = bench.takeKind("send")[0]) {
      sends += 1;
      bench.input({ kind: "sent", token: send.token, ok: false });
    }
    expect(sends).toBe(3);
  });
});

describe("what we believe", () => {
  it("claims that the DHT confirms become the filter at once", () => {
    const bench = start();
    up(bench);
    bench.take();
    says(bench, [CLAIM]);
    expect(filters(bench)).toEqual([[CLAIM]]);
    expect(bench.vnet.ipOf(B.address)).toBe(IP_B);
  });

  it("nothing before the DHT answered, all of it together", () => {
    const bench = start();
    bench.dht.lease("10.9.0.9", "02:00:00:00:00:09", B);
    up(bench);
    bench.take();
    bench.holdsDht = true;
    says(bench, [CLAIM, { mac: "02:00:00:00:00:09", ips: ["10.9.0.9"] }]);
    expect(filters(bench)).toEqual([]);
    bench.answerDht();
    expect(filters(bench)).toEqual([[CLAIM, { mac: "02:00:00:00:00:09", ips: ["10.9.0.9"] }]]);
  });

  it("another's lease, another's MAC, and a lease under a neighbour's MAC are refused", () => {
    const bench = start();
    bench.dht.lease("10.9.0.20", "02:00:00:00:00:20", C);
    bench.dht.lease("10.9.0.21", "02:00:00:00:00:21", B);
    bench.dht.mac("02:00:00:00:00:21", C);
    up(bench);
    bench.take();
    says(bench, [
      { mac: "02:00:00:00:00:20", ips: ["10.9.0.20"] },
      { mac: "02:00:00:00:00:21", ips: ["10.9.0.21"] },
      { mac: MAC_B, ips: ["10.9.0.20", IP_B, "fe80::9"] },
      { mac: "02:00:00:00:00:44", ips: [] },
    ]);
    expect(filters(bench)).toEqual([[CLAIM]]);
  });

  it("a MAC alone passes with its own record", () => {
    const bench = start();
    up(bench);
    bench.take();
    says(bench, [{ mac: MAC_B, ips: [] }]);
    expect(filters(bench)).toEqual([[{ mac: MAC_B, ips: [] }]]);
  });

  it("what is confirmed by the end of the hold becomes the filter, the rest follows", () => {
    const bench = start();
    bench.dht.lease("10.9.0.9", "02:00:00:00:00:09", B);
    bench.input({ kind: "resolve", token: 1, ip: IP_B });
    up(bench);
    bench.take();
    bench.holdsDht = true;
    says(bench, [CLAIM]);
    bench.answerDht();
    bench.dht.isAvailable = false;
    says(bench, [CLAIM, { mac: "02:00:00:00:00:09", ips: ["10.9.0.9"] }]);
    bench.sleep(2_000);
    expect(filters(bench)).toEqual([[CLAIM]]);
    bench.dht.isAvailable = true;
    bench.sleep(5_000);
    expect(filters(bench)).toEqual([[CLAIM, { mac: "02:00:00:00:00:09", ips: ["10.9.0.9"] }]]);
  });

  it("without an answer nothing is let in; with one, at once", () => {
    const bench = start();
    up(bench);
    bench.take();
    bench.dht.isAvailable = false;
    says(bench, [CLAIM]);
    bench.sleep(10_000);
    expect(filters(bench)).toEqual([]);
    bench.dht.isAvailable = true;
    bench.sleep(20_000);
    expect(filters(bench)).toEqual([[CLAIM]]);
  });

  it("a list that was overtaken by a newer one is ignored", () => {
    const bench = start();
    up(bench);
    bench.take();
    says(bench, [CLAIM]);
    const bytes = emitOwnRecords({ sequence: 0, entries: [] });
    bench.input({ kind: "message", link: 7, address: B.address, bytes });
    expect(filters(bench)).toEqual([[CLAIM]]);
  });

  it("an answer remembered from before the claim does not count against it", () => {
    const bench = start();
    bench.dht.remove(IP_B);
    bench.input({ kind: "resolve", token: 1, ip: IP_B });
    bench.dht.lease(IP_B, MAC_B, B);
    up(bench);
    bench.take();
    says(bench, [CLAIM]);
    expect(filters(bench)).toEqual([[CLAIM]]);
  });

  it("a dropped frame's own claim is looked into, and refused if false", () => {
    const bench = start();
    up(bench);
    says(bench, []);
    expect(filters(bench)).toEqual([]);
    const held = { kind: "held", session: 7, mac: MAC_B, ip: IP_B } as const;
    bench.input({ kind: "upcall", upcall: held });
    expect(filters(bench)).toEqual([[CLAIM]]);
    bench.input({ kind: "upcall", upcall: { ...held, ip: "10.9.0.5" } });
    expect(filters(bench)).toEqual([]);
  });

  it("a claim whose record is gone or became another's is taken back", () => {
    const bench = start();
    up(bench);
    says(bench, [CLAIM]);
    bench.take();
    bench.dht.lease(IP_B, MAC_B, C);
    bench.sleep(400_000);
    expect(filters(bench)).toEqual([[]]);
    expect(bench.vnet.ipOf(B.address)).toBeUndefined();
  });

  it("a record that moved to another linked peer is taken back from the first at once", () => {
    const bench = start();
    up(bench);
    says(bench, [CLAIM]);
    bench.take();
    bench.sleep(61_000);
    bench.dht.lease(IP_B, "02:00:00:00:00:03", C);
    bench.linkUp(C, 8);
    const entries = [{ mac: "02:00:00:00:00:03", ips: [IP_B] }];
    const bytes = emitOwnRecords({ sequence: 1, entries });
    bench.input({ kind: "message", link: 8, address: C.address, bytes });
    bench.sleep(1);
    const told = bench.commands().flatMap((one) => (one.op === "filter" ? [one] : []));
    expect(told.map(({ session, entries: own }) => [session, own])).toEqual([
      [8, entries],
      [7, []],
    ]);
  });

  it("a claim outlives its record only until the record would have ended", () => {
    const bench = start();
    up(bench);
    says(bench, [CLAIM]);
    bench.take();
    bench.dht.isAvailable = false;
    bench.sleep(3_500_000);
    expect(filters(bench)).toEqual([]);
    bench.sleep(200_000);
    expect(filters(bench)).toEqual([[]]);
  });

  it("a claim that ran out while the DHT could not say is back seconds after the DHT is", () => {
    const bench = start();
    up(bench);
    says(bench, [CLAIM]);
    bench.dht.isAvailable = false;
    bench.sleep(3_700_000);
    expect(filters(bench).at(-1)).toEqual([]);
    bench.dht.isAvailable = true;
    bench.sleep(4_500);
    expect(filters(bench)).toEqual([[CLAIM]]);
  });

  it("a short lease that is renewed keeps its claim without a gap", () => {
    const bench = start();
    const leaseSeconds = 60;
    const left = () => leaseSeconds - ((bench.now / 1_000) % (leaseSeconds / 3));
    bench.dht.answer = ageing(bench.dht, left);
    up(bench);
    says(bench, [CLAIM]);
    bench.take();
    bench.sleep(600_000);
    expect(filters(bench)).toEqual([]);
  });

  it("withdrawn claims leave the filter at once", () => {
    const bench = start();
    up(bench);
    says(bench, [CLAIM]);
    bench.take();
    says(bench, []);
    expect(filters(bench)).toEqual([[]]);
  });

  it("ends with the link, also in the engine when the session goes on", () => {
    const bench = start();
    up(bench);
    says(bench, [CLAIM]);
    expect(filters(bench)).toEqual([[CLAIM]]);
    const down = { kind: "link-down", link: 7, address: B.address } as const;
    bench.input({ ...down, reason: REOPENED });
    up(bench);
    expect(filters(bench)).toEqual([[]]);
    says(bench, [CLAIM]);
    expect(filters(bench)).toEqual([[CLAIM]]);
    bench.input({ ...down, reason: "no path" });
    expect(filters(bench)).toEqual([]);
  });

  it("held frames with ever new addresses keep a bounded table", () => {
    const bench = start();
    up(bench);
    says(bench, []);
    for (let i = 0; i < 3_000; i++) {
      const ip = `10.9.${20 + (i >> 8)}.${i & 255}`;
      bench.input({ kind: "upcall", upcall: { kind: "held", session: 7, mac: MAC_B, ip } });
    }
    bench.asked.length = 0;
    bench.sleep(120_000);
    expect(bench.asked).toEqual([]);
  });
});
