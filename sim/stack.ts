/**
 * The machine behind a simulated TAP: just enough IPv4 to ping. It takes its address from the node's
 * `interface` output, resolves by ARP, answers ARP and echo requests, and counts replies.
 */
import { ByteReader, ByteWriter } from "../src/base/bytes.ts";
import {
  BROADCAST_MAC,
  type Ip,
  ipFromBytes,
  ipToBytes,
  type Mac,
  macFromBytes,
  macToBytes,
} from "../src/base/net.ts";
import type { Millis } from "../src/base/time.ts";
import { emitIpv4, PROTOCOL_ICMP, parseIpv4 } from "../src/frame/ipv4.ts";

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const TTL = 64;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
/** As Linux: an unanswered ARP request is repeated each second, three in all. */
const ARP_RETRY_MS = 1_000;
const ARP_TRIES = 3;

export interface StackHost {
  now(): Millis;
  schedule(at: Millis, act: () => void): void;
  /** A frame leaves the machine into the TAP. */
  transmit(frame: Uint8Array): void;
}

export class Stack {
  readonly #host: StackHost;
  readonly #mac: Mac;
  readonly #neighbours = new Map<Ip, Mac>();
  readonly #unresolved = new Map<Ip, Uint8Array[]>();
  readonly #answered = new Set<number>();
  #ip: Ip | undefined;
  #sequence = 0;

  constructor(host: StackHost, mac: Mac) {
    this.#host = host;
    this.#mac = mac;
  }

  get ip(): Ip | undefined {
    return this.#ip;
  }

  configure(ip: Ip | undefined): void {
    this.#ip = ip;
  }

  /** @returns the echo's number, for `isAnswered` */
  ping(target: Ip): number {
    const number = ++this.#sequence;
    this.#sendIp(target, ECHO_REQUEST, number);
    return number;
  }

  isAnswered(number: number): boolean {
    return this.#answered.has(number);
  }

  receive(frame: Uint8Array): void {
    const reader = new ByteReader(frame);
    reader.skip(6);
    const source = macFromBytes(reader.bytes(6));
    const type = reader.u16be();
    if (type === ETHERTYPE_ARP) this.#receiveArp(reader.rest());
    else if (type === ETHERTYPE_IPV4) this.#receiveIp(source, reader.rest());
  }

  #receiveArp(body: Uint8Array): void {
    const reader = new ByteReader(body);
    reader.skip(6);
    const operation = reader.u16be();
    const mac = macFromBytes(reader.bytes(6));
    const ip = ipFromBytes(reader.bytes(4));
    reader.skip(6);
    const target = ipFromBytes(reader.bytes(4));
    if (!reader.ok || target !== this.#ip) return;
    if (operation === 1) this.#host.transmit(this.#arp(2, mac, ip));
    else this.#learn(ip, mac);
  }

  #learn(ip: Ip, mac: Mac): void {
    this.#neighbours.set(ip, mac);
    for (const packet of this.#unresolved.get(ip) ?? []) this.#transmitTo(mac, packet);
    this.#unresolved.delete(ip);
  }

  #receiveIp(mac: Mac, bytes: Uint8Array): void {
    const packet = parseIpv4(bytes);
    if (!packet.ok || packet.value.protocol !== PROTOCOL_ICMP) return;
    const { source, destination, payload } = packet.value;
    const reader = new ByteReader(payload);
    const type = reader.u8();
    reader.skip(3);
    const number = reader.u32();
    if (!reader.ok || destination !== this.#ip) return;
    this.#neighbours.set(source, mac);
    if (type === ECHO_REQUEST) this.#sendIp(source, ECHO_REPLY, number);
    else if (type === ECHO_REPLY) this.#answered.add(number);
  }

  #sendIp(target: Ip, type: number, number: number): void {
    const packet = this.#packet(target, type, number);
    const mac = this.#neighbours.get(target);
    if (mac !== undefined) return this.#transmitTo(mac, packet);
    const waiting = this.#unresolved.get(target);
    this.#unresolved.set(target, [...(waiting ?? []), packet]);
    if (waiting === undefined) this.#resolve(target, ARP_TRIES);
  }

  #resolve(target: Ip, tries: number): void {
    if (!this.#unresolved.has(target)) return;
    if (tries === 0) {
      this.#unresolved.delete(target);
      return;
    }
    this.#host.transmit(this.#arp(1, BROADCAST_MAC, target));
    this.#host.schedule(this.#host.now() + ARP_RETRY_MS, () => this.#resolve(target, tries - 1));
  }

  #transmitTo(mac: Mac, packet: Uint8Array): void {
    this.#host.transmit(this.#frame(mac, ETHERTYPE_IPV4, packet));
  }

  #arp(operation: number, mac: Mac, ip: Ip): Uint8Array {
    const target = operation === 1 ? new Uint8Array(6) : macToBytes(mac);
    const body = new ByteWriter().u16be(1).u16be(ETHERTYPE_IPV4).u8(6).u8(4).u16be(operation);
    body.bytes(macToBytes(this.#mac)).bytes(ipToBytes(this.#ip ?? "0.0.0.0"));
    return this.#frame(mac, ETHERTYPE_ARP, body.bytes(target).bytes(ipToBytes(ip)).finish());
  }

  #packet(destination: Ip, type: number, number: number): Uint8Array {
    const payload = new ByteWriter().u8(type).u8(0).u16be(0).u32(number).finish();
    const source = this.#ip ?? "0.0.0.0";
    return emitIpv4({ source, destination, protocol: PROTOCOL_ICMP, ttl: TTL, payload });
  }

  #frame(to: Mac, type: number, body: Uint8Array): Uint8Array {
    const frame = new ByteWriter().bytes(macToBytes(to)).bytes(macToBytes(this.#mac));
    return frame.u16be(type).bytes(body).finish();
  }
}
