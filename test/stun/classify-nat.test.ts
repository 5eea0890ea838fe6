import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { natKind } from "../../src/base/nat.ts";
import type { Endpoint } from "../../src/base/net.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { classifyNat, type NatSample } from "../../src/stun/classify-nat.ts";
import { KINDS, type NatKind, NatModel } from "./nat-model.ts";

const INSIDE: Endpoint = { ip: "192.168.1.2", port: 7117 };
const at = (ip: string, port: number): Endpoint => ({ ip, port });
const SERVERS = [
  at("203.0.113.10", 3478),
  at("203.0.113.10", 3479),
  at("203.0.113.11", 3478),
  at("203.0.113.11", 3479),
] as const;

/** What a host with this NAT would see of those servers, asked in that order. */
function look(kind: NatKind, seed: number, servers: readonly Endpoint[]): NatSample[] {
  const rng = new SeededRng(seed);
  const nat = new NatModel("198.51.100.1", kind, (limit) => below(rng, limit));
  const samples: NatSample[] = [];
  for (const destination of servers) {
    if (below(rng, 4) === 0) nat.otherTraffic();
    const mapped = nat.send(INSIDE, destination);
    const socket = 0;
    const localPort = INSIDE.port;
    samples.push({ kind: "mapping", socket, localPort, isOwn: false, destination, mapped, at: 1 });
  }
  return samples;
}

function filterTests(kind: NatKind): NatSample[] {
  const nat = new NatModel("198.51.100.1", kind, () => 7);
  const asked = SERVERS[0];
  const { port } = nat.send(INSIDE, asked);
  const hears = (from: Endpoint) => nat.receive(from, port) !== undefined;
  return [
    { kind: "filtering", from: "another-address", answered: hears(SERVERS[3]) },
    { kind: "filtering", from: "another-port", answered: hears(SERVERS[1]) },
  ];
}

const expected = (kind: NatKind) => ({
  mapping: kind.mapping,
  filtering: kind.filtering,
  allocation: kind.allocation,
});

describe("a NAT's kind from samples", () => {
  it.each(Object.entries(KINDS))(
    "%s: as the reference model, whatever was drawn",
    (_name, kind) => {
      fc.assert(
        fc.property(
          fc.integer(),
          fc.shuffledSubarray([...SERVERS], { minLength: 4 }),
          (seed, order) => {
            const samples = [...look(kind, seed, order), ...filterTests(kind)];
            const { allocation, ...behaviour } = expected(kind);
            expect(classifyNat(samples)).toMatchObject(behaviour);
            // Two random ports are neighbours once in two thousand runs, four hardly ever.
            if (kind.mapping !== "address") {
              expect(classifyNat(samples).allocation).toBe(allocation);
            }
          },
        ),
        { numRuns: 300 },
      );
    },
  );

  it("two destinations at two addresses are enough to know a cone from a symmetric NAT", () => {
    const two = [SERVERS[0], SERVERS[2]];
    for (const kind of Object.values(KINDS)) {
      const { mapping } = classifyNat(look(kind, 5, two));
      const isCone = kind.mapping === "endpoint-independent";
      expect(mapping).toBe(isCone ? "endpoint-independent" : "address-and-port");
    }
  });

  it("one destination says nothing of the mapping", () => {
    for (const kind of Object.values(KINDS)) {
      expect(classifyNat(look(kind, 5, [SERVERS[0]])).mapping).toBe("unknown");
    }
    expect(classifyNat([])).toEqual({
      mapping: "unknown",
      filtering: "unknown",
      allocation: "unknown",
    });
  });

  it("mappings made at other times tell no step", () => {
    const kind = KINDS["symmetric_sequential"] as NatKind;
    const slow = look(kind, 1, SERVERS).map((sample, i) =>
      sample.kind === "mapping" ? { ...sample, at: i * 60_000 } : sample,
    );
    expect(classifyNat(slow)).toMatchObject({ mapping: "address-and-port", allocation: "unknown" });
  });

  it("the step is what every difference is a multiple of", () => {
    const ports = [50_000, 50_004, 50_006, 50_012];
    const samples = ports.map(
      (port, i): NatSample => ({
        kind: "mapping",
        socket: 9,
        localPort: 7117,
        isOwn: false,
        destination: SERVERS[i] ?? SERVERS[0],
        mapped: at("198.51.100.1", port),
        at: 10 + i,
      }),
    );
    expect(classifyNat(samples)).toMatchObject({ allocation: "sequential", step: 2 });
    expect(natKind(classifyNat(samples))).toBe("symmetric-sequential");
  });
});

describe("who counts", () => {
  const seen = (destination: string, mapped: Endpoint, isOwn: boolean): NatSample => ({
    kind: "mapping",
    socket: 0,
    localPort: 7117,
    isOwn,
    destination: at(destination, 7117),
    mapped,
    at: 0,
  });
  const home = at("192.168.1.2", 7117);

  it("neighbours on the LAN do not make a host public", () => {
    expect(classifyNat([seen("192.168.1.3", home, true)]).mapping).toBe("unknown");
    const outside = at("203.0.113.9", 7117);
    const samples = [
      seen("192.168.1.3", home, true),
      seen("198.51.100.7", outside, false),
      seen("198.51.100.8", outside, false),
    ];
    expect(classifyNat(samples).mapping).toBe("endpoint-independent");
  });

  it("a member inside the carrier's NAT sees another address, which is no symmetric mapping", () => {
    const samples = [
      seen("100.64.0.9", at("100.64.0.3", 7117), false),
      seen("198.51.100.7", at("203.0.113.9", 4001), false),
      seen("198.51.100.8", at("203.0.113.9", 4001), false),
    ];
    expect(classifyNat(samples).mapping).toBe("endpoint-independent");
  });

  it("whom everybody sees at its own address has no NAT", () => {
    const own = at("198.51.100.4", 7117);
    const report = classifyNat([seen("198.51.100.7", own, true), seen("203.0.113.7", own, true)]);
    expect(report).toMatchObject({ mapping: "none", allocation: "preserved" });
    expect(natKind(report)).toBe("public");
  });

  it("another socket's mapping is another mapping", () => {
    const one = seen("198.51.100.7", at("203.0.113.9", 1), false);
    const two = { ...seen("198.51.100.8", at("203.0.113.9", 2), false), socket: 1 } as NatSample;
    expect(classifyNat([one, two]).mapping).toBe("unknown");
  });
});
