/** One Vnet under test with a DHT of a plain map; everything else is scripted by the test. */
import type { EngineCommand } from "../../src/base/engine.ts";
import type { Ip, Mac } from "../../src/base/net.ts";
import type { RingAddress } from "../../src/base/ring-address.ts";
import { SeededRng } from "../../src/base/rng.ts";
import type { Millis } from "../../src/base/time.ts";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { type Identity, identityFromSeed } from "../../src/crypto/identity.ts";
import { Membership } from "../../src/crypto/membership.ts";
import type { DhtInput, DhtResult } from "../../src/dht/dht.ts";
import { emitLeaseBody, leaseKey } from "../../src/lease/lease-record.ts";
import type { LeaseState } from "../../src/lease/lease-state.ts";
import type { PeerInfo } from "../../src/link/link-types.ts";
import { emitMacBody, macKey } from "../../src/vnet/mac-record.ts";
import { Vnet, type VnetInput, type VnetOptions, type VnetOutput } from "../../src/vnet/vnet.ts";
import { TYPE_BEACON } from "../../src/wire/bridge-beacon.ts";
import type { DhtRecord } from "../../src/wire/record.ts";
import { suite } from "../support/suite.ts";

export const keys = deriveClusterKeys(suite, new Uint8Array(32).fill(7));
export const membership = new Membership(suite, keys);
export const SERVER_IP = "10.9.0.1";
export const SERVER_MAC = "02:77:65:66:74:01";
export const LEASE_SECONDS = 3_600;

export interface Member {
  readonly identity: Identity;
  readonly address: RingAddress;
  readonly certificate: Uint8Array;
  readonly name: string;
}

export function makeMember(number: number): Member {
  const identity = identityFromSeed(suite, new Uint8Array(32).fill(number));
  const name = `node-${number}`;
  const own = membership.issueOwn(identity, name);
  return { identity, address: own.address, certificate: own.bytes, name };
}

export function peerOf(member: Member, link: number): PeerInfo {
  return {
    link,
    address: member.address,
    publicKey: member.identity.signing.publicKey,
    certificate: member.certificate,
    name: member.name,
    groups: [],
    serial: 0n,
    issuers: [],
    boot: 1n,
    minorVersion: 0,
    capabilities: 0,
    digest: new Uint8Array(32),
    candidates: [],
    initiatedHere: true,
  };
}

type Stored = { record: DhtRecord; remainingSeconds: number };

/** What the members agree on; shared by all Vnets of a test. */
export class FakeDht {
  readonly records = new Map<RingAddress, Stored>();
  isAvailable = true;

  lease(ip: Ip, mac: Mac, holder: Member): void {
    const client = `01${mac.replaceAll(":", "")}`;
    const facts = { ip, mac, holder: holder.address, client, alone: false, renewals: 0 };
    const body = emitLeaseBody({ ...facts, attestations: [] });
    this.#store(leaseKey(suite, keys.networkId, ip), "lease", holder, body);
  }

  mac(mac: Mac, holder: Member): void {
    const body = emitMacBody(mac, holder.address);
    this.#store(macKey(suite, keys.networkId, mac), "mac", holder, body);
  }

  remove(ip: Ip): void {
    this.records.delete(leaseKey(suite, keys.networkId, ip));
  }

  answer(input: Extract<DhtInput, { request: number }>): DhtResult {
    if (!this.isAvailable) return { status: "unavailable" };
    if (input.kind === "get") {
      const stored = this.records.get(input.key);
      return stored === undefined ? { status: "absent" } : { status: "found", ...stored };
    }
    const { record } = input;
    const before = this.records.get(record.key);
    const isForeign = before !== undefined && before.record.signer.join() !== record.signer.join();
    if (before !== undefined && isForeign) return { status: "exists", ...before };
    const isStale = before !== undefined && before.record.version >= record.version;
    if (before !== undefined && isStale) return { status: "stale", record: before.record };
    if (input.kind === "remove") this.records.delete(record.key);
    else this.records.set(record.key, { record, remainingSeconds: record.ttlSeconds });
    return { status: "stored", attestations: [], alone: false };
  }

  #store(key: RingAddress, kind: DhtRecord["kind"], holder: Member, body: Uint8Array): void {
    const signer = holder.identity.signing.publicKey;
    const age = { epoch: 1, version: 1, ttlSeconds: LEASE_SECONDS };
    const record = { key, kind, signer, ...age, body, signature: new Uint8Array(64) };
    this.records.set(key, { record, remainingSeconds: LEASE_SECONDS });
  }
}

export type Kind<K extends VnetOutput["kind"]> = Extract<VnetOutput, { kind: K }>;

export class Bench {
  readonly vnet: Vnet;
  readonly member: Member;
  readonly dht: FakeDht;
  readonly mac: Mac;
  now: Millis = 1_000;
  /** All outputs so far but those for the DHT. */
  outputs: VnetOutput[] = [];
  /** Every DHT question so far. */
  readonly asked: DhtInput[] = [];
  /** While true DHT requests wait in `waiting`. */
  holdsDht = false;
  waiting: Extract<DhtInput, { request: number }>[] = [];

  constructor(number: number, dht: FakeDht, options: Partial<VnetOptions> = {}) {
    this.member = makeMember(number);
    this.dht = dht;
    this.mac = options.mac ?? `02:00:00:00:00:${number.toString(16).padStart(2, "0")}`;
    this.vnet = new Vnet({
      suite,
      rng: new SeededRng(number),
      networkId: keys.networkId,
      identity: this.member.identity,
      membership,
      self: this.member.address,
      certificate: this.member.certificate,
      beaconKey: keys.beaconKey,
      mac: this.mac,
      mode: "dhcp",
      bridged: false,
      dhcp: "auto",
      range: { first: "10.9.0.0", prefix: 16 },
      leaseSeconds: LEASE_SECONDS,
      mtu: 1_390,
      serverIp: SERVER_IP,
      serverMac: SERVER_MAC,
      ...options,
    });
  }

  input(input: VnetInput): void {
    this.vnet.handle(this.now, input);
    this.#drain();
  }

  /** A link with a working path. */
  linkUp(member: Member, link: number): void {
    this.input({ kind: "link-up", peer: peerOf(member, link) });
    this.input({ kind: "path", link, usable: true });
  }

  frame(bytes: Uint8Array): void {
    this.input({ kind: "upcall", upcall: { kind: "frame", bytes } });
  }

  /** Goes through every deadline on the way. */
  sleep(ms: Millis): void {
    const until = this.now + ms;
    for (let i = 0; i < 10_000 && this.vnet.deadline() <= until; i++) {
      this.now = Math.max(this.now, this.vnet.deadline());
      this.input({ kind: "timeout" });
    }
    if (this.vnet.deadline() <= until) throw new Error("deadlines without end");
    this.now = until;
  }

  answerDht(): void {
    this.holdsDht = false;
    const waiting = this.waiting;
    this.waiting = [];
    for (const input of waiting) this.#answer(input);
    this.#drain();
  }

  bind(ip: Ip, mac: Mac = this.mac, client = `01${mac.replaceAll(":", "")}`): void {
    this.dht.lease(ip, mac, this.member);
    this.input({ kind: "bound", lease: this.lease(ip, mac, client) });
  }

  lease(ip: Ip, mac: Mac, client: string): LeaseState {
    const counts = { epoch: 1, version: 1, renewals: 0, alone: false };
    const expiresAt = this.now + LEASE_SECONDS * 1_000;
    return { client, mac, ip, ...counts, expiresAt, leaseSeconds: LEASE_SECONDS };
  }

  take(): VnetOutput[] {
    const outputs = this.outputs;
    this.outputs = [];
    return outputs;
  }

  takeKind<K extends VnetOutput["kind"]>(kind: K): Kind<K>[] {
    return this.take().filter((output): output is Kind<K> => output.kind === kind);
  }

  commands(): EngineCommand[] {
    return this.takeKind("engine").map((output) => output.command);
  }

  /** Frames written to the TAP since the last look, without beacons. */
  tapFrames(): Uint8Array[] {
    return this.commands()
      .flatMap(framesToTap)
      .filter((bytes) => !isBeacon(bytes));
  }

  /** Beacons written to the TAP since the last look. */
  beacons(): Uint8Array[] {
    return this.commands().flatMap(framesToTap).filter(isBeacon);
  }

  #drain(): void {
    for (let output = this.vnet.poll(); output !== undefined; output = this.vnet.poll()) {
      if (output.kind !== "dht") this.outputs.push(output);
      else if ("request" in output.input) {
        this.asked.push(output.input);
        if (this.holdsDht) this.waiting.push(output.input);
        else this.#answer(output.input);
      }
    }
  }

  #answer(input: Extract<DhtInput, { request: number }>): void {
    const key = input.kind === "get" ? input.key : input.record.key;
    const result = this.dht.answer(input);
    this.vnet.handle(this.now, { kind: "dht-result", request: input.request, key, result });
  }
}

function framesToTap(command: EngineCommand): Uint8Array[] {
  return command.op === "frame-to-tap" ? [command.bytes] : [];
}

export function isBeacon(frame: Uint8Array): boolean {
  return (((frame[12] ?? 0) << 8) | (frame[13] ?? 0)) === TYPE_BEACON;
}
