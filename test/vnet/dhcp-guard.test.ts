import { describe, expect, it } from "vitest";
import { BROADCAST_MAC, type Ip, ipToBytes, type Mac } from "../../src/base/net.ts";
import { DHCP_OPTIONS, type DhcpMessage, emitDhcp, parseDhcp } from "../../src/frame/dhcp.ts";
import { emitEthernet, parseEthernet, TYPE_IPV4 } from "../../src/frame/ethernet.ts";
import { emitIpv4, PROTOCOL_UDP, parseIpv4 } from "../../src/frame/ipv4.ts";
import { emitUdp, parseUdp } from "../../src/frame/udp.ts";
import { PROBE_MAC } from "../../src/vnet/dhcp-guard.ts";
import type { VnetOptions } from "../../src/vnet/vnet.ts";
import { Bench, FakeDht, SERVER_IP, SERVER_MAC } from "./harness.ts";

const GUEST: Mac = "02:00:00:00:00:33";
const CLIENT = "01020000000033";
const OTHER_MAC: Mac = "02:00:00:00:00:99";
const OTHER: Ip = "192.168.7.1";
const NO_TAGS = new Uint8Array(0);

interface Route {
  readonly from: { readonly mac: Mac; readonly ip: Ip; readonly port: number };
  readonly to: { readonly mac: Mac; readonly ip: Ip; readonly port: number };
}

function frameOf({ from, to }: Route, message: DhcpMessage): Uint8Array {
  const ports = { sourcePort: from.port, destinationPort: to.port };
  const payload = emitUdp({ ...ports, payload: emitDhcp(message) }, from.ip, to.ip);
  const route = { source: from.ip, destination: to.ip };
  return emitEthernet({
    destination: to.mac,
    source: from.mac,
    tags: NO_TAGS,
    type: TYPE_IPV4,
    payload: emitIpv4({ ...route, protocol: PROTOCOL_UDP, ttl: 64, payload }),
  });
}

function message(fields: Partial<DhcpMessage>): DhcpMessage {
  const nobody = { ciaddr: "0.0.0.0", yiaddr: "0.0.0.0", siaddr: "0.0.0.0", giaddr: "0.0.0.0" };
  const rest = { xid: 7, secs: 0, broadcast: true, chaddr: GUEST, options: new Map() };
  return { op: "request", type: "discover", ...nobody, ...rest, ...fields };
}

function fromClient(fields: Partial<DhcpMessage> = {}, mac: Mac = GUEST): Uint8Array {
  const from = { mac, ip: fields.ciaddr ?? "0.0.0.0", port: 68 };
  const to = { mac: BROADCAST_MAC, ip: "255.255.255.255", port: 67 };
  return frameOf({ from, to }, message({ chaddr: mac, ...fields }));
}

/** An OFFER of a server. */
function offer(server: Ip, to: Mac = BROADCAST_MAC): Uint8Array {
  const from = { mac: OTHER_MAC, ip: server, port: 67 };
  const options = new Map([[DHCP_OPTIONS.serverIdentifier as number, ipToBytes(server)]]);
  const reply = message({ op: "reply", type: "offer", yiaddr: "192.168.7.20", options });
  return frameOf({ from, to: { mac: to, ip: "255.255.255.255", port: 68 } }, reply);
}

function site(options: Partial<VnetOptions> = {}): Bench {
  const bench = new Bench(1, new FakeDht(), { bridged: true, ...options });
  bench.input({ kind: "timeout" });
  return bench;
}

/** Past the time in which another server could have answered. */
function listened(options: Partial<VnetOptions> = {}): Bench {
  const bench = site(options);
  bench.sleep(3_500);
  bench.take();
  return bench;
}

function dhcpOf(frame: Uint8Array): DhcpMessage | undefined {
  const ethernet = parseEthernet(frame);
  const packet = ethernet.ok ? parseIpv4(ethernet.value.payload) : ethernet;
  const udp = packet.ok ? parseUdp(packet.value.payload) : packet;
  const parsed = udp.ok ? parseDhcp(udp.value.payload) : udp;
  return parsed.ok ? parsed.value : undefined;
}

const wants = (bench: Bench) => bench.takeKind("want").map(({ client }) => client);

describe("the DHCP guard of a bridged site", () => {
  it("asks twice at the start and once a minute, under a MAC that no node answers", () => {
    const bench = site();
    const seen: (readonly [number, string | undefined, string | undefined])[] = [];
    for (let ms = 0; ms <= 70_000; ms += 500) {
      for (const frame of bench.tapFrames()) {
        const sent = dhcpOf(frame);
        seen.push([ms, sent?.type, sent?.chaddr]);
      }
      bench.sleep(500);
    }
    expect(seen).toEqual([0, 1_500, 61_500].map((ms) => [ms, "discover", PROBE_MAC]));
    bench.frame(fromClient({}, PROBE_MAC));
    expect(wants(bench)).toEqual([]);
  });

  it("no machine is answered before another server could have been heard; then all are", () => {
    const bench = site();
    bench.take();
    bench.frame(fromClient());
    bench.frame(fromClient());
    bench.sleep(3_499);
    expect(wants(bench)).toEqual([]);
    bench.sleep(1);
    expect(wants(bench)).toEqual([CLIENT]);
  });

  it.each([
    ["an OFFER to everybody", (bench: Bench) => bench.frame(offer(OTHER))],
    [
      "an OFFER to the MAC that asked",
      (bench: Bench) => {
        const head = offer(OTHER, PROBE_MAC).subarray(0, 128);
        bench.input({ kind: "upcall", upcall: { kind: "miss", mac: PROBE_MAC, head } });
        const removed = { op: "forward-remove", mac: PROBE_MAC };
        expect(bench.outputs).toContainEqual({ kind: "engine", command: removed });
      },
    ],
    [
      "a machine that chose it",
      (bench: Bench) => {
        const server = [DHCP_OPTIONS.serverIdentifier as number, ipToBytes(OTHER)] as const;
        bench.frame(fromClient({ type: "request", options: new Map([server]) }));
      },
    ],
  ])("%s: one event, a line, no answer to newcomers any more", (_, hear) => {
    for (const bench of [site(), listened()]) {
      hear(bench);
      hear(bench);
      const events = bench.takeKind("event").map(({ event }) => event);
      expect(events).toHaveLength(1);
      expect(events[0]).toMatchObject({ what: "foreign-dhcp", fields: { server: OTHER } });
      expect(bench.vnet.health()).toEqual([expect.stringContaining(OTHER)]);
      bench.frame(fromClient());
      for (let minute = 0; minute < 10; minute++) {
        bench.sleep(60_000);
        hear(bench);
      }
      bench.frame(fromClient());
      expect(bench.take().filter(({ kind }) => kind === "want")).toEqual([]);
    }
  });

  it("one forged OFFER ends by itself: five minutes without another it serves again", () => {
    const bench = listened();
    bench.frame(offer(OTHER));
    bench.sleep(299_999);
    bench.frame(fromClient());
    expect(wants(bench)).toEqual([]);
    bench.sleep(1);
    expect(bench.vnet.health()).toEqual([]);
    bench.frame(fromClient());
    const seen = bench.take();
    expect(seen.filter(({ kind }) => kind === "want")).toHaveLength(1);
    // it went on asking, and yields at once to the next one
    bench.frame(offer(OTHER));
    expect(bench.vnet.health()).toEqual([expect.stringContaining(OTHER)]);
  });

  it("yielded, it goes on asking each minute: who answers keeps it so", () => {
    const bench = listened();
    bench.frame(offer(OTHER));
    bench.take();
    let asked = 0;
    for (let second = 0; second < 1_200; second++) {
      bench.sleep(1_000);
      for (const frame of bench.tapFrames()) {
        if (dhcpOf(frame)?.chaddr !== PROBE_MAC) continue;
        asked++;
        bench.frame(offer(OTHER));
      }
    }
    expect(asked).toBe(20);
    bench.frame(fromClient());
    expect(wants(bench)).toEqual([]);
  });

  it("yielded: who has an address of ours renews it and gives it back", () => {
    const bench = listened();
    bench.bind("10.9.0.7", GUEST);
    bench.frame(offer(OTHER));
    bench.take();
    bench.frame(fromClient({ type: "request", ciaddr: "10.9.0.7" }));
    expect(bench.tapFrames().map((frame) => dhcpOf(frame)?.type)).toEqual(["ack"]);
    bench.frame(fromClient({ type: "request", ciaddr: "10.9.0.8" }));
    expect(bench.tapFrames()).toEqual([]);
    bench.frame(fromClient({ type: "release", ciaddr: "10.9.0.7" }));
    expect(bench.takeKind("release")).toEqual([{ kind: "release", client: CLIENT }]);
  });

  it("another member's OFFER is no foreign one", () => {
    const bench = listened();
    bench.frame(offer(SERVER_IP));
    bench.frame(fromClient());
    expect(wants(bench)).toEqual([CLIENT]);
  });

  it("dhcp: force answers at once and whoever else does; relay-only answers nobody", () => {
    for (const [dhcp, wanted] of [
      ["force", [CLIENT]],
      ["relay-only", []],
    ] as const) {
      const bench = site({ dhcp });
      expect(bench.tapFrames()).toEqual([]);
      bench.frame(offer(OTHER));
      bench.frame(fromClient());
      expect(wants(bench)).toEqual(wanted);
      expect(bench.vnet.health()).toEqual([]);
    }
  });

  it("a TAP of its own asks nobody and answers at once", () => {
    const bench = site({ bridged: false });
    expect(bench.tapFrames()).toEqual([]);
    bench.frame(fromClient());
    expect(wants(bench)).toEqual([CLIENT]);
  });

  it("the server's own frames have the server's MAC, not the guard's", () => {
    const bench = listened();
    bench.bind("10.9.0.7", GUEST);
    bench.take();
    bench.frame(fromClient());
    const [frame = NO_TAGS] = bench.tapFrames();
    expect(parseEthernet(frame)).toMatchObject({ ok: true, value: { source: SERVER_MAC } });
  });
});
