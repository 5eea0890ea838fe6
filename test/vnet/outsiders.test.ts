import { describe, expect, it } from "vitest";
import { BROADCAST_MAC, type Ip, linkLocalOf, type Mac } from "../../src/base/net.ts";
import { ARP_REQUEST, emitArp, parseArp } from "../../src/frame/arp.ts";
import { emitEthernet, parseEthernet, TYPE_ARP, TYPE_IPV6 } from "../../src/frame/ethernet.ts";
import { emitIpv6, PROTOCOL_ICMPV6 } from "../../src/frame/ipv6.ts";
import { emitNd } from "../../src/frame/neighbour-discovery.ts";
import type { VnetOutput } from "../../src/vnet/vnet.ts";
import { Bench, FakeDht, isBeacon, makeMember } from "./harness.ts";

const GUEST: Mac = "02:00:00:00:00:33";
const STATIC: Mac = "02:00:00:00:00:44";
const THERE = makeMember(2);
const THERE_MAC: Mac = "02:00:00:00:00:55";
const THERE_IP: Ip = "10.9.0.50";
const NO_TAGS = new Uint8Array(0);

function whoHas(target: Ip, mac: Mac, ip: Ip): Uint8Array {
  const payload = emitArp({
    operation: ARP_REQUEST,
    senderMac: mac,
    senderIp: ip,
    targetMac: "00:00:00:00:00:00",
    targetIp: target,
  });
  const head = { destination: BROADCAST_MAC, source: mac, tags: NO_TAGS };
  return emitEthernet({ ...head, type: TYPE_ARP, payload });
}

function solicitation(target: Ip, mac: Mac): Uint8Array {
  const [source, destination] = [linkLocalOf(mac), "ff02::1:ff00:55"];
  const payload = emitNd({ kind: "solicitation", target, mac }, source, destination);
  const packet = { source, destination, hopLimit: 255, protocol: PROTOCOL_ICMPV6, payload };
  const head = { destination: "33:33:ff:00:00:55", source: mac, tags: NO_TAGS };
  return emitEthernet({ ...head, type: TYPE_IPV6, payload: emitIpv6(packet) });
}

/** A site with one leased machine; another member has THERE_IP. */
function site(bridged = true): Bench {
  const dht = new FakeDht();
  dht.lease(THERE_IP, THERE_MAC, THERE);
  dht.mac(THERE_MAC, THERE);
  const bench = new Bench(1, dht, { bridged, dhcp: "force" });
  bench.input({ kind: "timeout" });
  bench.bind("10.9.0.7", GUEST);
  bench.take();
  return bench;
}

/** Who the answers say has the address. */
function answers(bench: Bench): (string | undefined)[] {
  return bench.tapFrames().map(holderOf);
}

function holderOf(frame: Uint8Array): string | undefined {
  const ethernet = parseEthernet(frame);
  const arp = ethernet.ok ? parseArp(ethernet.value.payload) : ethernet;
  return arp.ok ? arp.value.senderMac : undefined;
}

describe("machines behind the bridge", () => {
  it("with a lease: their questions are answered, probes too", () => {
    const bench = site();
    bench.frame(whoHas(THERE_IP, GUEST, "10.9.0.7"));
    expect(answers(bench)).toEqual([THERE_MAC]);
    bench.frame(whoHas(THERE_IP, STATIC, "0.0.0.0"));
    expect(answers(bench)).toEqual([THERE_MAC]);
    bench.frame(solicitation(linkLocalOf(THERE_MAC), GUEST));
    expect(bench.tapFrames()).toHaveLength(1);
  });

  it.each([
    ["an address of its own making", STATIC, "10.9.0.44"],
    ["another machine's address", STATIC, "10.9.0.7"],
    ["an address of another network", STATIC, "192.168.1.9"],
  ])("with %s: no answer, no look-up, named once after ten seconds", (_, mac, ip) => {
    const bench = site();
    const before = bench.vnet.lookups();
    for (let i = 0; i < 60; i++) {
      bench.frame(whoHas(THERE_IP, mac, ip));
      bench.sleep(1_000);
    }
    const said = bench.take();
    expect(said.filter(isTapFrame)).toEqual([]);
    const events = said.filter(({ kind }) => kind === "event");
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ event: { what: "outsider", fields: { mac, ip } } });
    expect(bench.vnet.lookups()).toEqual(before);
    expect(bench.vnet.drops().get("arp-sender")).toBe(60);
  });

  it("without a lease: neighbour solicitations are not answered either", () => {
    const bench = site();
    bench.frame(solicitation(linkLocalOf(THERE_MAC), STATIC));
    expect(bench.tapFrames()).toEqual([]);
    expect(bench.vnet.drops().get("source-mac")).toBe(1);
  });

  it("made-up MACs by the thousand: a bounded number of lines", () => {
    const bench = site();
    const macs = Array.from({ length: 2_000 }, (_, i) => `02:00:00:01:${hex(i >> 8)}:${hex(i)}`);
    for (let round = 0; round < 3; round++) {
      for (const mac of macs.slice(0, 200)) bench.frame(whoHas(THERE_IP, mac, "10.9.9.9"));
      bench.sleep(11_000);
    }
    for (const mac of macs) bench.frame(whoHas(THERE_IP, mac, "10.9.9.9"));
    expect(bench.takeKind("event")).toHaveLength(64);
  });

  it("a TAP of its own: whoever asks is answered", () => {
    const bench = site(false);
    bench.frame(whoHas(THERE_IP, STATIC, "10.9.0.44"));
    expect(answers(bench)).toEqual([THERE_MAC]);
  });
});

describe("a scan of addresses that nobody has", () => {
  const scan = (bench: Bench, from: number, to: number): void => {
    for (let i = from; i < to; i++) bench.frame(whoHas(`10.9.3.${i}`, GUEST, "10.9.0.7"));
  };

  it("256 addresses asked for three times, a second and more apart: fewer than 300 look-ups", () => {
    const bench = site();
    const before = bench.vnet.lookups().lease;
    for (const pause of [1_000, 2_000, 3_000]) {
      scan(bench, 0, 256);
      bench.sleep(pause);
    }
    expect(bench.vnet.lookups().lease - before).toBeLessThan(300);
  });

  it("a handful is asked for again after a moment: who comes up is found at once", () => {
    const bench = site();
    scan(bench, 0, 8);
    bench.sleep(1_500);
    bench.dht.lease("10.9.3.4", THERE_MAC, THERE);
    bench.take();
    scan(bench, 0, 8);
    expect(answers(bench)).toEqual([THERE_MAC]);
  });
});

function isTapFrame(output: VnetOutput): boolean {
  const isFrame = output.kind === "engine" && output.command.op === "frame-to-tap";
  return isFrame && !isBeacon(output.command.bytes);
}

function hex(value: number): string {
  return (value & 255).toString(16).padStart(2, "0");
}
