import { describe, expect, it } from "vitest";
import { type Ip, macToBytes } from "../../src/base/net.ts";
import { type DhcpMessage, emitDhcp, ipOption, parseDhcp } from "../../src/frame/dhcp.ts";
import { emitEthernet, parseEthernet } from "../../src/frame/ethernet.ts";
import { emitIpv4, parseIpv4 } from "../../src/frame/ipv4.ts";
import { emitUdp, parseUdp } from "../../src/frame/udp.ts";
import { hex } from "../support/vectors.ts";
import { Bench, FakeDht, LEASE_SECONDS, makeMember, SERVER_IP, SERVER_MAC } from "./harness.ts";

const MAC = "02:00:00:00:00:01";
const CLIENT = "01020000000001";
const BROADCAST = "ff:ff:ff:ff:ff:ff";

interface Fields extends Partial<DhcpMessage> {
  readonly requested?: Ip;
  readonly server?: Ip;
  readonly id?: string;
  readonly name?: string;
}

function request(fields: Fields, to = BROADCAST, tags: Uint8Array = new Uint8Array(0)): Uint8Array {
  const options = new Map<number, Uint8Array>();
  if (fields.id !== undefined) options.set(61, hex(fields.id));
  const bytes = (ip: Ip): Uint8Array => Uint8Array.from(ip.split("."), Number);
  const ascii = (text: string): Uint8Array => Uint8Array.from(text, (one) => one.charCodeAt(0));
  if (fields.name !== undefined) options.set(12, ascii(fields.name));
  if (fields.requested !== undefined) options.set(50, bytes(fields.requested));
  if (fields.server !== undefined) options.set(54, bytes(fields.server));
  const message: DhcpMessage = {
    op: "request",
    type: "discover",
    xid: 0x12345678,
    secs: 0,
    broadcast: false,
    ciaddr: "0.0.0.0",
    yiaddr: "0.0.0.0",
    siaddr: "0.0.0.0",
    giaddr: "0.0.0.0",
    chaddr: MAC,
    options,
    ...fields,
  };
  const source = message.ciaddr;
  const destination = to === BROADCAST ? "255.255.255.255" : SERVER_IP;
  const udp = emitUdp(
    { sourcePort: 68, destinationPort: 67, payload: emitDhcp({ ...message, options }) },
    source,
    destination,
  );
  const packet = emitIpv4({ source, destination, protocol: 17, ttl: 64, payload: udp });
  const head = { destination: to, source: message.chaddr, tags, type: 0x0800 };
  return emitEthernet({ ...head, payload: packet });
}

interface Reply extends DhcpMessage {
  readonly toMac: string;
  readonly toIp: Ip;
  readonly length: number;
}

function replies(bench: Bench): Reply[] {
  return bench.tapFrames().map((bytes) => {
    const frame = parseEthernet(bytes);
    const packet = frame.ok ? parseIpv4(frame.value.payload) : frame;
    const udp = packet.ok ? parseUdp(packet.value.payload) : packet;
    const message = udp.ok ? parseDhcp(udp.value.payload) : udp;
    if (!frame.ok || !packet.ok || !udp.ok || !message.ok) throw new Error("not a DHCP reply");
    expect(frame.value.source).toBe(SERVER_MAC);
    expect(packet.value.source).toBe(SERVER_IP);
    expect([udp.value.sourcePort, udp.value.destinationPort]).toEqual([67, 68]);
    const toMac = frame.value.destination;
    const length = udp.value.payload.length;
    return { ...message.value, toMac, toIp: packet.value.destination, length };
  });
}

const u32 = (bytes: Uint8Array | undefined): number =>
  (bytes ?? new Uint8Array(0)).reduce((sum, byte) => sum * 256 + byte, 0);
const start = (): Bench => {
  const bench = new Bench(1, new FakeDht());
  bench.input({ kind: "timeout" });
  bench.take();
  return bench;
};
const bound = (ip = "10.9.0.5"): Bench => {
  const bench = start();
  bench.bind(ip);
  bench.take();
  return bench;
};

describe("DISCOVER", () => {
  it("asks for a lease and offers only when it is bound", () => {
    const bench = start();
    bench.frame(request({ requested: "10.9.0.77" }));
    expect(bench.take()).toEqual([
      { kind: "want", client: CLIENT, mac: MAC, requested: "10.9.0.77", isOffer: true },
    ]);
    bench.bind("10.9.0.5");
    const [offer, ...others] = replies(bench);
    expect(others).toEqual([]);
    expect(offer).toMatchObject({ type: "offer", yiaddr: "10.9.0.5", xid: 0x12345678 });
    expect(offer).toMatchObject({ toMac: MAC, toIp: "10.9.0.5", length: 300 });
  });

  it("an offer says what a host needs, and never a route", () => {
    const bench = new Bench(1, new FakeDht(), { domain: "weft.internal" });
    bench.bind("10.9.0.5");
    bench.take();
    bench.frame(request({ id: "ff 01 02 03" }));
    bench.bind("10.9.0.9", MAC, "ff010203");
    const offer = replies(bench)[0];
    const options = offer?.options ?? new Map<number, Uint8Array>();
    expect(ipOption(offer as DhcpMessage, 54)).toBe(SERVER_IP);
    expect(ipOption(offer as DhcpMessage, 1)).toBe("255.255.0.0");
    expect(ipOption(offer as DhcpMessage, 28)).toBe("10.9.255.255");
    expect(u32(options.get(51))).toBe(LEASE_SECONDS);
    expect(u32(options.get(58))).toBe(LEASE_SECONDS / 2);
    expect(u32(options.get(59))).toBe((LEASE_SECONDS * 7) / 8);
    expect(u32(options.get(26))).toBe(1_390);
    expect(String.fromCharCode(...(options.get(15) ?? []))).toBe("weft.internal");
    expect(options.get(61)).toEqual(hex("ff 01 02 03"));
    for (const code of [3, 33, 121, 249]) expect(options.has(code)).toBe(false);
  });

  it("is answered at once for a bound client, by broadcast if it wants", () => {
    const bench = bound();
    bench.frame(request({ broadcast: true }));
    expect(replies(bench)[0]).toMatchObject({ toMac: BROADCAST, toIp: "255.255.255.255" });
  });

  it("the newest repeat is answered, under its own xid", () => {
    const bench = start();
    bench.frame(request({}));
    bench.now += 3_000;
    bench.frame(request({ xid: 9 }));
    bench.bind("10.9.0.5");
    expect(replies(bench).map((reply) => reply.xid)).toEqual([9]);
  });

  it("too late an address is offered to nobody", () => {
    const bench = start();
    bench.frame(request({}));
    bench.now += 10_001;
    bench.bind("10.9.0.5");
    expect(replies(bench)).toEqual([]);
  });

  it("an address that would not be ours is not passed on as a wish", () => {
    const bench = start();
    bench.frame(request({ requested: "192.168.1.5" }));
    expect(bench.takeKind("want")[0]?.requested).toBeUndefined();
  });

  it("refused: silence", () => {
    const bench = start();
    bench.frame(request({}));
    bench.input({ kind: "refused", client: CLIENT, reason: "pool-full" });
    expect(replies(bench)).toEqual([]);
  });

  it("answers under the VLAN tag it was asked under", () => {
    const bench = bound();
    bench.frame(request({}, BROADCAST, hex("81 00 00 07")));
    const frame = parseEthernet(bench.tapFrames()[0] ?? new Uint8Array(0));
    expect(frame.ok && frame.value.tags).toEqual(hex("81 00 00 07"));
  });
});

describe("REQUEST", () => {
  it("selecting: ACK for the offered address", () => {
    const bench = bound();
    bench.frame(request({ type: "request", requested: "10.9.0.5", server: SERVER_IP }));
    expect(replies(bench)[0]).toMatchObject({ type: "ack", yiaddr: "10.9.0.5", toMac: MAC });
  });

  it("selecting another address: NAK by broadcast", () => {
    const bench = bound();
    bench.frame(request({ type: "request", requested: "10.9.0.6", server: SERVER_IP }));
    expect(replies(bench)[0]).toMatchObject({ type: "nak", yiaddr: "0.0.0.0", toMac: BROADCAST });
  });

  it("selecting another server: the address is given back", () => {
    const bench = bound();
    bench.frame(request({ type: "request", requested: "10.9.0.5", server: "10.9.0.200" }));
    const outputs = bench.take();
    expect(outputs).toContainEqual({ kind: "release", client: CLIENT });
    expect(outputs.some((output) => output.kind === "interface")).toBe(false);
  });

  it("init-reboot: ACK when bound, NAK when foreign, otherwise as the lease decides", () => {
    const bench = bound();
    bench.frame(request({ type: "request", requested: "10.9.0.5" }));
    expect(replies(bench)[0]?.type).toBe("ack");
    bench.frame(request({ type: "request", requested: "192.168.1.7" }));
    expect(replies(bench)[0]?.type).toBe("nak");
    const later = start();
    later.frame(request({ type: "request", requested: "10.9.0.8" }));
    expect(later.takeKind("want")[0]).toMatchObject({ requested: "10.9.0.8", isExact: true });
    later.bind("10.9.0.8");
    expect(replies(later)[0]?.type).toBe("ack");
    const other = start();
    other.frame(request({ type: "request", requested: "10.9.0.8" }));
    other.bind("10.9.0.9");
    expect(replies(other)[0]?.type).toBe("nak");
  });

  it("renewing by unicast: ACK at once, to the client's address, with a later end", () => {
    const bench = bound();
    bench.frame(request({ type: "request", requested: "10.9.0.5", server: SERVER_IP }));
    bench.take();
    bench.now += 1_200_000;
    bench.bind("10.9.0.5");
    bench.now += 600_000;
    bench.frame(request({ type: "request", ciaddr: "10.9.0.5" }, SERVER_MAC));
    const ack = replies(bench)[0];
    expect(ack).toMatchObject({ type: "ack", ciaddr: "10.9.0.5", toIp: "10.9.0.5", toMac: MAC });
    expect(u32(ack?.options.get(51))).toBe(3_000);
  });

  it("never grants longer than the claim lives", () => {
    const bench = bound();
    bench.now += (LEASE_SECONDS - 10) * 1_000;
    bench.frame(request({ type: "request", ciaddr: "10.9.0.5" }, SERVER_MAC));
    expect(u32(replies(bench)[0]?.options.get(51))).toBe(10);
    bench.now += 10_000;
    bench.frame(request({ type: "request", ciaddr: "10.9.0.5" }, SERVER_MAC));
    expect(replies(bench)).toEqual([]);
  });

  it("rebinding by broadcast with an unknown lease is claimed anew", () => {
    const bench = start();
    bench.frame(request({ type: "request", ciaddr: "10.9.0.5" }));
    expect(bench.takeKind("want")[0]?.requested).toBe("10.9.0.5");
    bench.bind("10.9.0.5");
    expect(replies(bench)[0]).toMatchObject({ type: "ack", ciaddr: "10.9.0.5" });
  });

  it("a wrong address is refused while renewing", () => {
    const bench = bound();
    bench.frame(request({ type: "request", ciaddr: "10.9.0.6" }));
    expect(replies(bench)[0]).toMatchObject({ type: "nak", toMac: BROADCAST, ciaddr: "0.0.0.0" });
  });

  it("refused because the node is full: silence", () => {
    const bench = start();
    bench.frame(request({ type: "request", requested: "10.9.0.8" }));
    bench.input({ kind: "refused", client: CLIENT, reason: "site-full" });
    expect(replies(bench)).toEqual([]);
  });

  it("refused: NAK, but silence when the ring could not say", () => {
    const bench = start();
    const ask = request({ type: "request", requested: "10.9.0.8" });
    bench.frame(ask);
    bench.input({ kind: "refused", client: CLIENT, reason: "unavailable" });
    expect(replies(bench)).toEqual([]);
    bench.frame(ask);
    bench.input({ kind: "refused", client: CLIENT, reason: "taken" });
    expect(replies(bench)[0]?.type).toBe("nak");
  });

  it("without any address is dropped", () => {
    const bench = bound();
    bench.frame(request({ type: "request" }));
    expect(bench.take()).toEqual([]);
  });
});

describe("the other messages", () => {
  it("RELEASE gives the lease back without touching the carrier", () => {
    const bench = bound();
    bench.frame(request({ type: "release", ciaddr: "10.9.0.5", server: SERVER_IP }, SERVER_MAC));
    const outputs = bench.take();
    expect(outputs).toContainEqual({ kind: "release", client: CLIENT });
    const ops = outputs.flatMap((output) => (output.kind === "engine" ? [output.command.op] : []));
    expect(ops).toEqual(["forward-remove"]);
    bench.frame(request({}));
    expect(bench.takeKind("want").length).toBe(1);
  });

  it("RELEASE of another address is ignored", () => {
    const bench = bound();
    bench.frame(request({ type: "release", ciaddr: "10.9.0.6" }, SERVER_MAC));
    expect(bench.take()).toEqual([]);
  });

  it("DECLINE makes the lease choose again", () => {
    const bench = bound();
    bench.frame(request({ type: "decline", requested: "10.9.0.5", server: SERVER_IP }));
    expect(bench.take()).toContainEqual({ kind: "decline", client: CLIENT, ip: "10.9.0.5" });
    bench.frame(request({}));
    expect(replies(bench)).toEqual([]);
  });

  it("INFORM is answered without a lease", () => {
    const bench = start();
    bench.frame(request({ type: "inform", ciaddr: "10.9.0.44" }));
    const ack = replies(bench)[0];
    expect(ack).toMatchObject({ type: "ack", yiaddr: "0.0.0.0", toIp: "10.9.0.44" });
    expect(ack?.options.has(51)).toBe(false);
  });

  it("relayed, replies and foreign servers are dropped", () => {
    const bench = bound();
    bench.frame(request({ giaddr: "10.9.0.3" }));
    bench.frame(request({ op: "reply", type: "offer" }));
    bench.frame(request({ type: "ack" }));
    bench.frame(request({}, "02:00:00:00:00:99"));
    expect(bench.take()).toEqual([]);
  });

  it("mode static serves nobody", () => {
    const bench = new Bench(1, new FakeDht(), { mode: "static" });
    bench.input({ kind: "timeout" });
    bench.take();
    bench.frame(request({ chaddr: "02:00:00:00:00:33" }));
    expect(bench.take()).toEqual([]);
  });
});

describe("clients", () => {
  it("a client that stays silent loses its address when its time is up", () => {
    const bench = bound();
    bench.frame(request({ type: "request", requested: "10.9.0.5", server: SERVER_IP }));
    bench.take();
    bench.sleep((LEASE_SECONDS - 1) * 1_000);
    expect(bench.takeKind("release")).toEqual([]);
    bench.sleep(2_000);
    expect(bench.takeKind("release")).toEqual([{ kind: "release", client: CLIENT }]);
  });

  it("an address that was offered and never taken is given back after half a minute", () => {
    const bench = start();
    bench.frame(request({}));
    bench.bind("10.9.0.5");
    bench.sleep(29_999);
    expect(bench.takeKind("release")).toEqual([]);
    bench.sleep(1);
    expect(bench.takeKind("release")).toEqual([{ kind: "release", client: CLIENT }]);
  });

  it("an address that no search found in half a minute is looked for no longer", () => {
    const bench = start();
    bench.frame(request({}));
    bench.sleep(30_000);
    expect(bench.takeKind("release").length).toBe(1);
  });

  it("an offer is nobody's: the host speaks for the address from the ACK on", () => {
    const bench = start();
    const mac = "02:00:00:00:00:22";
    bench.linkUp(makeMember(2), 7);
    bench.take();
    bench.frame(request({ chaddr: mac }));
    bench.bind("10.9.0.5", mac);
    expect(bench.take().map((output) => output.kind)).toEqual(["want", "engine"]);
    bench.frame(request({ chaddr: mac, type: "request", requested: "10.9.0.5" }));
    const outputs = bench.take();
    expect(outputs).toContainEqual({ kind: "confirm", client: "01020000000022" });
    const forward = { op: "forward", mac, to: "local", ttlMs: 300_000 };
    expect(outputs).toContainEqual({ kind: "engine", command: forward });
    expect(bench.asked.some((input) => input.kind === "create")).toBe(true);
  });

  it("asks for the name that the client goes by", () => {
    const names: (string | undefined)[] = [];
    for (const name of ["Printer.Example", "printer", "-", "two words", "\u00e9"]) {
      const bench = start();
      bench.frame(request({ name }));
      names.push(bench.takeKind("want")[0]?.name);
    }
    expect(names).toEqual(["printer", "printer", undefined, undefined, undefined]);
  });

  it("clients of the last run get their leases back unasked, and keep them for one lease", () => {
    const bench = start();
    const saved = { client: "ff07", mac: "02:00:00:00:00:22", ip: "10.9.0.7" };
    bench.input({ kind: "restore", leases: [{ ...saved, epoch: 1, version: 4 }] });
    expect(bench.takeKind("want")).toEqual([
      { kind: "want", client: "ff07", mac: saved.mac, requested: saved.ip, isExact: true },
    ]);
    bench.bind(saved.ip, saved.mac, saved.client);
    expect(bench.commands()).toContainEqual({
      op: "forward",
      mac: saved.mac,
      to: "local",
      ttlMs: 300_000,
    });
    bench.sleep(LEASE_SECONDS * 1_000 - 1);
    expect(bench.takeKind("release")).toEqual([]);
    bench.sleep(1);
    expect(bench.takeKind("release")).toEqual([{ kind: "release", client: "ff07" }]);
  });

  it("a lease of the last run that is another's by now is refused to its client", () => {
    const bench = start();
    const saved = { client: CLIENT, mac: MAC, ip: "10.9.0.7", epoch: 1, version: 4 };
    bench.input({ kind: "restore", leases: [saved] });
    bench.input({ kind: "refused", client: CLIENT, reason: "taken" });
    bench.take();
    bench.frame(request({ type: "request", ciaddr: "10.9.0.7" }));
    bench.input({ kind: "refused", client: CLIENT, reason: "taken" });
    expect(replies(bench)[0]?.type).toBe("nak");
  });

  it("in mode auto the agent's own lease has no such end, and a client with its MAC gets it", () => {
    const bench = new Bench(1, new FakeDht(), { mode: "auto" });
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    bench.take();
    bench.frame(request({}));
    expect(replies(bench)[0]).toMatchObject({ type: "offer", yiaddr: "10.9.0.5" });
    bench.sleep((LEASE_SECONDS + 10) * 1_000);
    expect(bench.takeKind("release")).toEqual([]);
  });

  it("in mode auto nobody on the TAP can give the agent's own lease away", () => {
    const bench = new Bench(1, new FakeDht(), { mode: "auto" });
    bench.input({ kind: "timeout" });
    bench.bind("10.9.0.5");
    bench.take();
    bench.frame(request({ type: "release", ciaddr: "10.9.0.5" }, SERVER_MAC));
    bench.frame(request({ type: "decline", requested: "10.9.0.5", server: SERVER_IP }));
    bench.frame(request({ type: "request", requested: "10.9.0.5", server: "10.9.0.9" }));
    expect(bench.take()).toEqual([]);
  });

  it("in mode auto another card cannot take the agent's own lease over by its identifier", () => {
    const bench = new Bench(1, new FakeDht(), { mode: "auto", bridged: true, dhcp: "force" });
    bench.bind("10.9.0.5");
    bench.take();
    const chaddr = "02:00:00:00:00:99";
    bench.frame(request({ chaddr, id: CLIENT }));
    bench.frame(request({ chaddr, id: CLIENT, type: "request", requested: "10.9.0.5" }));
    expect(bench.take()).toEqual([]);
    expect(bench.vnet.drops().get("bad-field")).toBe(2);
  });

  it("a card that is a group, nobody or the server itself is no client", () => {
    const bench = start();
    for (const chaddr of ["01:00:5e:00:00:01", BROADCAST, "00:00:00:00:00:00", SERVER_MAC]) {
      const frame = request({ chaddr });
      frame.set(macToBytes(MAC), 6);
      bench.frame(frame);
    }
    expect(bench.take()).toEqual([]);
    expect(bench.vnet.drops().get("bad-field")).toBe(4);
  });

  it("two clients behind one TAP have two leases", () => {
    const bench = bound();
    bench.frame(request({ chaddr: "02:00:00:00:00:22", id: "ff 07" }));
    expect(bench.takeKind("want")).toEqual([
      { kind: "want", client: "ff07", mac: "02:00:00:00:00:22", isOffer: true },
    ]);
  });

  it("a client that changed its card waits for a lease with the new one", () => {
    const bench = bound();
    bench.frame(request({ chaddr: "02:00:00:00:00:22", id: CLIENT }));
    expect(bench.takeKind("want")[0]?.mac).toBe("02:00:00:00:00:22");
  });

  it("a thousand clients at once fill a bounded table", () => {
    const bench = start();
    for (let i = 0; i < 1_000; i++) {
      const id = `ff ${i.toString(16).padStart(4, "0")}`;
      bench.frame(request({ id }));
    }
    expect(bench.takeKind("want").length).toBe(128);
    expect(bench.vnet.drops().get("table-full")).toBe(872);
  });
});

describe("a storm of DISCOVER", () => {
  const idOf = (i: number): string => `ff ${i.toString(16).padStart(6, "0")}`;
  const clientAt = (i: number): string => `ff${i.toString(16).padStart(6, "0")}`;
  const ipAt = (i: number): Ip => `10.9.${1 + (i >> 8)}.${i & 255}`;

  /** Fifty a second, each answered by the lease machine at once. */
  function storm(bench: Bench, seconds: number): { wants: number; released: number } {
    const seen = { wants: 0, released: 0 };
    for (let i = 0; i < seconds * 50; i++) {
      bench.sleep(20);
      bench.frame(request({ id: idOf(i) }));
      for (const output of bench.take()) {
        if (output.kind === "release") seen.released++;
        if (output.kind !== "want") continue;
        seen.wants++;
        bench.bind(ipAt(i), MAC, output.client);
      }
    }
    return seen;
  }

  it("keeps a bounded number of offers, of which old ones give way", () => {
    const bench = start();
    const { wants, released } = storm(bench, 20);
    expect(wants).toBe(1_000);
    expect(released).toBe(1_000 - 128);
  });

  it("leaves leases alone and lets new clients in", () => {
    const bench = start();
    const mac = "02:00:00:00:00:22";
    bench.frame(request({ chaddr: mac, type: "request", requested: "10.9.0.5" }));
    bench.bind("10.9.0.5", mac);
    bench.take();
    storm(bench, 10);
    bench.take();
    bench.frame(request({ chaddr: mac, type: "request", ciaddr: "10.9.0.5" }, SERVER_MAC));
    expect(replies(bench).map((reply) => reply.type)).toEqual(["ack"]);
    bench.frame(request({ id: "ab" }));
    bench.bind("10.9.0.6", MAC, "ab");
    bench.take();
    bench.frame(request({ id: "ab", type: "request", requested: "10.9.0.6" }));
    expect(replies(bench).map((reply) => reply.type)).toEqual(["ack"]);
  });

  it("does not undo a search that takes long", () => {
    const bench = start();
    for (let i = 0; i < 500; i++) {
      bench.sleep(20);
      bench.frame(request({ id: idOf(i) }));
    }
    const kinds = bench.take().map((output) => output.kind);
    expect(kinds.filter((kind) => kind === "want").length).toBe(128);
    expect(kinds).not.toContain("release");
  });

  it("in a full pool an old offer makes room for the next client", () => {
    const bench = start();
    bench.frame(request({ id: idOf(1) }));
    bench.bind("10.9.0.5", MAC, clientAt(1));
    bench.sleep(1_999);
    bench.frame(request({ id: idOf(2) }));
    bench.input({ kind: "refused", client: clientAt(2), reason: "pool-full" });
    expect(bench.takeKind("release")).toEqual([]);
    bench.sleep(1);
    bench.frame(request({ id: idOf(2) }));
    bench.input({ kind: "refused", client: clientAt(2), reason: "pool-full" });
    expect(bench.takeKind("release")).toEqual([{ kind: "release", client: clientAt(1) }]);
  });
});
