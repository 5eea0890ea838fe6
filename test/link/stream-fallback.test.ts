import { describe, expect, it } from "vitest";
import type { EngineCommand } from "../../src/base/engine.ts";
import type { Endpoint } from "../../src/base/net.ts";
import type { PathView } from "../../src/link/link-types.ts";
import {
  StreamFallback,
  type StreamOptions,
  type StreamOutput,
} from "../../src/link/stream-fallback.ts";
import { FIRST_STREAM, isStream, MAX_STREAMS } from "../../src/link/stream-sockets.ts";

const HOST: Endpoint = { ip: "192.0.2.1", port: 7_117 };
const OTHER: Endpoint = { ip: "198.51.100.1", port: 443 };
type DirectWay = Omit<Extract<PathView, { kind: "direct" }>, "kind">;

const UDP_WAY: DirectWay = { socket: 0, endpoint: HOST };

class Bench {
  ways: DirectWay[] = [];
  readonly machine: StreamFallback;

  constructor(options: StreamOptions | undefined = { listen: undefined }) {
    this.machine = new StreamFallback(options, {
      views: () => this.ways.map((way) => ({ path: { kind: "direct", ...way } })),
    });
  }

  out(): StreamOutput[] {
    const out: StreamOutput[] = [];
    for (let one = this.machine.poll(); one !== undefined; one = this.machine.poll()) out.push(one);
    return out;
  }

  commands(): EngineCommand[] {
    return this.out().flatMap((output) => (output.kind === "engine" ? [output.command] : []));
  }

  /** Asks for a link to `hosts` and lets the head start pass. @returns the indexes opened */
  fallBack(now: number, ...hosts: Endpoint[]): number[] {
    this.machine.handle(now, { kind: "asked", endpoints: hosts });
    this.timeout(now + 250);
    return this.commands().flatMap((one) => (one.op === "stream-open" ? [one.socket] : []));
  }

  timeout(now: number): void {
    this.machine.handle(now, { kind: "timeout" });
  }

  failed(now: number, socket: number): void {
    const upcall = { kind: "socket-failed", socket, reason: "refused" } as const;
    this.machine.handle(now, { kind: "upcall", upcall });
  }

  opened(now: number, socket: number): void {
    const upcall = { kind: "socket-opened", socket, family: 4, port: 1, from: undefined } as const;
    this.machine.handle(now, { kind: "upcall", upcall });
  }
}

describe("stream fallback", () => {
  it("opens streams to port 443 and to the listed port when UDP does not answer in 250 ms", () => {
    const bench = new Bench();
    bench.machine.handle(0, { kind: "asked", endpoints: [HOST, OTHER] });
    expect(bench.machine.deadline()).toBe(250);
    expect(bench.commands()).toEqual([]);
    bench.timeout(250);
    expect(bench.commands()).toEqual([
      { op: "stream-open", socket: FIRST_STREAM, to: { ip: HOST.ip, port: 443 } },
      { op: "stream-open", socket: FIRST_STREAM + 1, to: HOST },
      { op: "stream-open", socket: FIRST_STREAM + 2, to: OTHER },
    ]);
  });

  it("opens none when UDP answered, or when streams are off", () => {
    const bench = new Bench();
    bench.machine.handle(0, { kind: "asked", endpoints: [HOST] });
    bench.ways = [UDP_WAY];
    bench.machine.handle(100, { kind: "links" });
    expect(bench.machine.deadline()).toBe(Number.POSITIVE_INFINITY);
    const off = new StreamFallback(undefined, { views: () => [] });
    off.handle(0, { kind: "asked", endpoints: [HOST] });
    expect(off.deadline()).toBe(Number.POSITIVE_INFINITY);
    expect(off.poll()).toBeUndefined();
  });

  it("a link to somebody else does not count: a neighbour's network may be blocked as well", () => {
    const bench = new Bench();
    bench.ways = [{ socket: 0, endpoint: { ip: "10.0.0.2", port: 7_117 } }];
    expect(bench.fallBack(0, HOST)).toHaveLength(2);
  });

  it("shakes hands over what opened, and closes what carries no link", () => {
    const bench = new Bench();
    const [first = 0, second = 0] = bench.fallBack(0, HOST);
    bench.opened(500, first);
    bench.opened(500, second);
    const connects = bench.out().filter(({ kind }) => kind === "connect");
    expect(connects).toEqual([
      { kind: "connect", endpoint: { ip: HOST.ip, port: 443 }, stream: first },
      { kind: "connect", endpoint: HOST, stream: second },
    ]);
    bench.ways = [{ socket: first, endpoint: { ip: HOST.ip, port: 443 } }];
    bench.machine.handle(600, { kind: "links" });
    bench.timeout(6_450);
    bench.timeout(6_500);
    bench.timeout(13_000);
    expect(bench.commands()).toEqual([{ op: "socket-close", socket: second }]);
    expect(bench.machine.deadline()).toBeGreaterThan(13_000);
  });

  it("tries again later and later, at most each minute, and at once after a link was there", () => {
    const bench = new Bench();
    const gaps: number[] = [];
    let now = 0;
    for (let sockets = bench.fallBack(now, HOST); gaps.length < 8; ) {
      for (const socket of sockets) {
        const upcall = { kind: "socket-failed", socket, reason: "refused" } as const;
        bench.machine.handle(now, { kind: "upcall", upcall });
      }
      const begun = now;
      do {
        now = bench.machine.deadline();
        bench.timeout(now);
        sockets = bench.commands().flatMap((one) => (one.op === "stream-open" ? [one.socket] : []));
      } while (sockets.length === 0);
      gaps.push(now - begun);
    }
    expect(gaps.slice(-2)).toEqual([60_000, 60_000]);
    bench.ways = [UDP_WAY];
    bench.machine.handle(now, { kind: "links" });
    bench.ways = [];
    bench.machine.handle(now + 1, { kind: "links" });
    expect(bench.machine.deadline()).toBe(now + 251);
  });

  it("gives streams up once UDP has worked for half a minute, not while it comes and goes", () => {
    const bench = new Bench();
    const [first = 0] = bench.fallBack(0, HOST);
    bench.opened(500, first);
    const stream = { socket: first, endpoint: { ip: HOST.ip, port: 443 } };
    bench.ways = [UDP_WAY];
    bench.machine.handle(1_000, { kind: "links" });
    bench.ways = [stream];
    bench.machine.handle(20_000, { kind: "links" });
    bench.timeout(31_000);
    const closed = (): boolean => bench.commands().some((one) => one.op === "socket-close");
    bench.out();
    bench.ways = [UDP_WAY];
    bench.machine.handle(40_000, { kind: "links" });
    bench.timeout(69_999);
    expect(closed()).toBe(false);
    bench.timeout(70_000);
    expect(closed()).toBe(true);
  });

  it("keeps the stream to one host when another one is reached by UDP", () => {
    const bench = new Bench();
    const sockets = bench.fallBack(0, HOST, OTHER);
    const toOther = sockets[2] ?? 0;
    bench.opened(500, toOther);
    bench.out();
    bench.ways = [UDP_WAY, { socket: toOther, endpoint: OTHER }];
    bench.machine.handle(1_000, { kind: "links" });
    for (const now of [31_000, 61_000, 91_000]) bench.timeout(now);
    const closed = bench
      .commands()
      .flatMap((one) => (one.op === "socket-close" ? [one.socket] : []));
    expect(closed).toEqual(sockets.slice(0, 2));
  });

  it("opens streams though a member on the same LAN, also asked, is linked by UDP", () => {
    const bench = new Bench();
    const beside = { ip: "192.168.1.2", port: 7_117 };
    bench.ways = [{ socket: 0, endpoint: beside }];
    const sockets = bench.fallBack(0, beside, HOST);
    expect(sockets).toHaveLength(4);
    const alone = new Bench();
    alone.ways = bench.ways;
    expect(alone.fallBack(0, beside)).toHaveLength(0);
  });

  it("tries other hosts each time, and waits longer only when all were tried", () => {
    const bench = new Bench();
    const hosts = Array.from({ length: 10 }, (_, i) => ({ ip: `192.0.2.${i}`, port: 443 }));
    bench.fallBack(0, ...hosts.slice(0, 4));
    // hosts that it hears of only now need not wait for the end of the round
    bench.machine.handle(1_000, { kind: "asked", endpoints: hosts });
    const tried: string[] = [];
    for (let now = 1_000; now < 40_000; now = bench.machine.deadline()) {
      bench.timeout(now);
      const opened = bench.commands().filter((one) => one.op === "stream-open");
      if (opened.length === 0) continue;
      for (const one of opened) bench.failed(now, one.socket);
      tried.push(`${now}: ${opened.map(({ to }) => to.ip.slice(8)).join("")}`);
    }
    expect(tried).toEqual(["1250: 4567", "5250: 89", "13250: 0123", "21250: 4567", "29250: 89"]);
  });

  it("never has more streams than indexes, however many hosts are asked", () => {
    const bench = new Bench({ listen: 8_443 });
    expect(bench.commands()).toEqual([{ op: "stream-listen", port: 8_443 }]);
    const hosts = Array.from({ length: 100 }, (_, i) => ({ ip: `192.0.2.${i}`, port: 7_000 + i }));
    const sockets = bench.fallBack(0, ...hosts);
    expect(sockets).toHaveLength(12);
    expect(sockets.every((socket) => isStream(socket))).toBe(true);
    expect(Math.max(...sockets)).toBeLessThan(FIRST_STREAM + MAX_STREAMS);
  });

  it("goes through the proxy, but for hosts that it is not for", () => {
    const proxy = { endpoint: { ip: "10.0.0.1", port: 3_128 } };
    const bench = new Bench();
    const exempt = [{ ip: "198.51.100.0", prefix: 24 }];
    bench.machine.handle(0, { kind: "proxy", route: { proxy, exempt } });
    bench.machine.handle(0, { kind: "asked", endpoints: [HOST, OTHER] });
    bench.timeout(250);
    const commands = bench.commands();
    expect(commands[0]).toMatchObject({ op: "stream-open", to: { ip: HOST.ip }, proxy });
    expect(commands.at(-1)).toEqual({ op: "stream-open", socket: FIRST_STREAM + 2, to: OTHER });
  });

  it("starts anew when the proxy becomes known, and tells when it lets nothing through", () => {
    const proxy = { endpoint: { ip: "10.0.0.1", port: 3_128 } };
    const bench = new Bench();
    expect(bench.fallBack(0, HOST)).toHaveLength(2);
    bench.machine.handle(500, { kind: "proxy", route: { proxy, exempt: [] } });
    expect(bench.commands().map(({ op }) => op)).toEqual(["socket-close", "socket-close"]);
    expect(bench.machine.deadline()).toBe(750);
    bench.timeout(750);
    for (const socket of [FIRST_STREAM + 2, FIRST_STREAM + 3]) {
      expect(bench.out().some(({ kind }) => kind === "event")).toBe(false);
      const upcall = { kind: "socket-failed", socket, reason: "proxy-authorization" } as const;
      bench.machine.handle(1_000, { kind: "upcall", upcall });
    }
    expect(bench.out()).toMatchObject([{ kind: "event", event: { what: "proxy-failed" } }]);
  });

  it("says when nobody can come in", () => {
    const bench = new Bench({ listen: 443 });
    bench.out();
    const upcall = { kind: "listen-failed", port: 443, reason: "not-permitted" } as const;
    bench.machine.handle(500, { kind: "upcall", upcall });
    const [told] = bench.out();
    expect(told).toMatchObject({ kind: "event", event: { what: "stream-listen-failed" } });
  });
});
