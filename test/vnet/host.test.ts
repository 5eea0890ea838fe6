import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hex } from "../support/vectors.ts";
import { Bench, FakeDht, makeMember } from "./harness.ts";

const MAC = "02:00:00:00:00:01";
const CLIENT = "01020000000001";
const GUEST = "02:00:00:00:00:33";

const ops = (bench: Bench): string[] => bench.commands().map((command) => command.op);

describe("our host", () => {
  it("mode auto asks under the client identifier of its own card and sets the interface once", () => {
    const bench = new Bench(1, new FakeDht(), { mode: "auto" });
    expect(bench.vnet.deadline()).toBe(0);
    bench.input({ kind: "timeout" });
    expect(bench.takeKind("want")).toEqual([{ kind: "want", client: CLIENT, mac: MAC }]);
    bench.bind("10.9.0.5");
    expect(bench.takeKind("interface")).toEqual([
      { kind: "interface", ip: "10.9.0.5", prefix: 16, leaseSeconds: 3_600 },
    ]);
    bench.bind("10.9.0.5");
    expect(bench.takeKind("interface")).toEqual([]);
  });

  it("mode dhcp asks for nothing and sets no interface", () => {
    const bench = new Bench(1, new FakeDht());
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    const kinds = new Set(bench.take().map((output) => output.kind));
    expect([...kinds]).toEqual(["engine"]);
  });

  it("bound: local forward and carrier; both kept alive", () => {
    const bench = new Bench(1, new FakeDht());
    bench.input({ kind: "timeout" });
    bench.take();
    bench.bind("10.9.0.9", "02:00:00:00:00:22");
    const commands = bench.commands();
    expect(commands).toContainEqual({ op: "carrier", on: true });
    const local = { op: "forward", mac: "02:00:00:00:00:22", to: "local", ttlMs: 300_000 };
    expect(commands).toContainEqual(local);
    for (let i = 0; i < 4; i++) {
      bench.sleep(150_000);
      expect(bench.commands()).toContainEqual(local);
    }
  });

  it("lost: forward gone, interface clear, carrier off for a second, asked for again", () => {
    const bench = new Bench(1, new FakeDht(), { mode: "auto" });
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    bench.take();
    bench.input({ kind: "lost", client: CLIENT, ip: "10.9.0.5", mac: MAC });
    const outputs = bench.take();
    expect(outputs).toContainEqual({ kind: "interface-clear", ip: "10.9.0.5" });
    bench.outputs = outputs;
    expect(ops(bench)).toEqual(["forward-remove", "carrier"]);
    bench.sleep(999);
    expect(ops(bench)).toEqual([]);
    bench.sleep(1);
    const after = bench.take();
    expect(after).toContainEqual({ kind: "engine", command: { op: "carrier", on: true } });
    expect(after).toContainEqual({ kind: "want", client: CLIENT, mac: MAC });
  });

  it("lost behind a bridge: the carrier stays, our own address is asked for again", () => {
    const bench = new Bench(1, new FakeDht(), { mode: "auto", bridged: true });
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    bench.bind("10.9.0.6", GUEST, "0102");
    bench.take();
    bench.input({ kind: "lost", client: "0102", ip: "10.9.0.6", mac: GUEST });
    expect(bench.commands()).toEqual([{ op: "forward-remove", mac: GUEST }]);
    bench.input({ kind: "lost", client: CLIENT, ip: "10.9.0.5", mac: MAC });
    expect(bench.takeKind("interface-clear")).toHaveLength(1);
    bench.sleep(1_000);
    const after = bench.take();
    expect(after).toContainEqual({ kind: "want", client: CLIENT, mac: MAC });
    expect(after.some((one) => one.kind === "engine" && one.command.op === "carrier")).toBe(false);
  });

  it.each([
    ["dhcp", false, [CLIENT, "0102"]],
    ["auto", true, ["0102"]],
    ["static", true, ["0102"]],
    ["static", false, []],
  ] as const)(
    "mode %s, bridged %s: what clients held is asked for again",
    (mode, bridged, asked) => {
      const bench = new Bench(1, new FakeDht(), { mode, bridged });
      const age = { epoch: 1, version: 3 };
      const leases = [
        { client: CLIENT, mac: MAC, ip: "10.9.0.5", ...age },
        { client: "0102", mac: GUEST, ip: "10.9.0.6", ...age },
      ];
      bench.input({ kind: "restore", leases });
      expect(bench.takeKind("want").map((want) => want.client)).toEqual(asked);
    },
  );

  it("a lease that is none of ours does not touch the carrier", () => {
    const bench = new Bench(1, new FakeDht());
    bench.input({ kind: "timeout" });
    bench.take();
    bench.input({ kind: "lost", client: "ff", ip: "10.9.0.5", mac: MAC });
    expect(bench.take()).toEqual([]);
  });

  it("another address for the same client replaces the first", () => {
    const bench = new Bench(1, new FakeDht(), { mode: "auto" });
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    bench.take();
    bench.bind("10.9.0.6");
    const kinds = bench.take().filter((output) => output.kind.startsWith("interface"));
    expect(kinds).toMatchObject([
      { kind: "interface-clear", ip: "10.9.0.5" },
      { kind: "interface", ip: "10.9.0.6" },
    ]);
  });

  it("refused: asks again after a while", () => {
    const bench = new Bench(1, new FakeDht(), { mode: "auto" });
    bench.input({ kind: "timeout" });
    bench.take();
    bench.input({ kind: "refused", client: CLIENT, reason: "pool-full" });
    bench.sleep(5_000);
    expect(bench.takeKind("want").length).toBe(1);
  });
});

describe("MAC records", () => {
  const macRecord = (dht: FakeDht): number | undefined =>
    [...dht.records.values()].find(({ record }) => record.kind === "mac")?.record.version;

  it("are made with the lease, renewed, and taken back", () => {
    const dht = new FakeDht();
    const bench = new Bench(1, dht);
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    expect(macRecord(dht)).toBe(1);
    bench.sleep(201_000);
    expect(macRecord(dht)).toBe(2);
    bench.input({ kind: "lost", client: CLIENT, ip: "10.9.0.5", mac: MAC });
    expect(macRecord(dht)).toBeUndefined();
  });

  it("of an earlier start are taken over", () => {
    const dht = new FakeDht();
    const bench = new Bench(1, dht);
    dht.mac(MAC, bench.member);
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    bench.sleep(1_500);
    expect(macRecord(dht)).toBeGreaterThan(1);
  });

  it("of an earlier start that are only remembered are overtaken in one step", () => {
    const bench = new Bench(1, new FakeDht());
    const remembered = 5_000;
    bench.dht.answer = (input) => {
      if (input.kind === "get") return { status: "absent" };
      const isAbove = input.record.version > remembered;
      if (isAbove) return { status: "stored", attestations: [], alone: false };
      return { status: "stale", record: input.record };
    };
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    bench.sleep(1_500);
    const versions = bench.asked.flatMap((one) => ("record" in one ? [one.record.version] : []));
    expect(versions.length).toBe(2);
    expect(versions[1]).toBeGreaterThan(remembered);
  });

  it("are tried again when the DHT is not there", () => {
    const dht = new FakeDht();
    const bench = new Bench(1, dht);
    dht.isAvailable = false;
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    bench.sleep(3_000);
    dht.isAvailable = true;
    bench.sleep(5_000);
    expect(macRecord(dht)).toBe(1);
  });

  it("of another member stay, and people are told", () => {
    const dht = new FakeDht();
    const bench = new Bench(1, dht);
    dht.mac(MAC, makeMember(9));
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    expect(bench.takeKind("event").map((output) => output.event.what)).toEqual(["cloned-mac"]);
  });
});

describe("frames that go nowhere", () => {
  it("are dropped with a reason each", () => {
    const bench = new Bench(1, new FakeDht());
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    bench.take();
    const head = "33 33 00 00 00 01 02 00 00 00 00 01";
    const ip6 = (icmp: string): string =>
      `${head} 86 dd 60 00 00 00 00 04 3a ff ${"00 ".repeat(32)} ${icmp} 00 00 00`;
    bench.frame(hex("01 80 c2 00 00 00 02 00 00 00 00 01 00 26 42 42"));
    bench.frame(hex(ip6("86")));
    bench.frame(hex(ip6("85")));
    bench.frame(hex(ip6("8f")));
    bench.frame(hex("ff ff"));
    expect(bench.take()).toEqual([]);
    expect(Object.fromEntries(bench.vnet.drops())).toEqual({
      "link-control": 2,
      "router-advertisement": 2,
      "short-frame": 1,
    });
  });

  it("random frames and messages never throw and never spin", () => {
    const types = fc.constantFrom("08 00", "08 06", "86 dd", "81 00 00 01 08 00", "12 34");
    const bytes = fc.uint8Array({ maxLength: 120 });
    const bench = new Bench(1, new FakeDht());
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    fc.assert(
      fc.property(types, bytes, fc.boolean(), (type, tail, isMiss) => {
        const frame = Uint8Array.of(...hex(`ff ff ff ff ff ff 02 00 00 00 00 01 ${type}`), ...tail);
        const mac = "02:00:00:00:00:55";
        if (isMiss) bench.input({ kind: "upcall", upcall: { kind: "miss", mac, head: frame } });
        else bench.frame(frame);
        bench.input({ kind: "message", link: 7, address: 5n, bytes: tail });
        bench.sleep(10);
        bench.take();
      }),
      { numRuns: 1_000 },
    );
  });
});
