/**
 * Lets members in by the rules of the file: the engine is told what each linked peer may begin, and
 * flooded frames, which come as messages, are judged here by the same code.
 */
import { equalBytes } from "../base/bytes.ts";
import type { AclPolicy } from "../base/engine.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import { AclGate } from "../frame/acl-gate.ts";
import type { PeerInfo } from "../link/link-types.ts";
import { type AccessRules, policyBetween, type Subject } from "./access-rules.ts";
import type { VnetContext } from "./context.ts";
import type { Peers } from "./peers.ts";

/** Members whose floods were judged lately, each with its fragments; another one begins anew. */
const FLOOD_GATES_MAX = 1_024;

export interface AccessOptions {
  readonly rules: AccessRules;
  /** This node itself, as its certificate names it now. */
  readonly self: () => Subject;
  /** Groups that the file gives to nodes by name; none where certificates do. */
  readonly nodeGroups: ReadonlyMap<string, readonly string[]>;
  /** 32 bytes, of our file's shared part */
  readonly digest: Uint8Array;
}

/** Who sent a flood. */
export interface FloodSender extends Subject {
  readonly address: RingAddress;
}

export class Access {
  readonly #context: VnetContext;
  readonly #peers: Peers;
  readonly #options: AccessOptions | undefined;
  readonly #floodGates = new Map<RingAddress, AclGate>();

  constructor(context: VnetContext, peers: Peers) {
    this.#context = context;
    this.#peers = peers;
    this.#options = context.options.access;
  }

  /** Before any frame of the peer can pass: it has no filter yet. */
  linkUp(peer: PeerInfo): void {
    if (this.#options === undefined) return;
    const policy = this.#policyFor(subjectOf(peer, this.#options));
    const rules = policy === undefined ? {} : { policy };
    this.#context.engine({ op: "acl", session: peer.link, ...rules });
  }

  /** This node itself is in other groups now, and its rules with each peer may be others. */
  selfChanged(): void {
    for (const peer of this.#peers.all()) this.linkUp(peer);
  }

  /** Whether a flooded frame may go to our host. */
  letsIn(now: Millis, sender: FloodSender, frame: Uint8Array): boolean {
    if (this.#options === undefined) return true;
    const peer = this.#peers.byAddress(sender.address);
    // Only linked members tell their digest; of the others the file is believed to be ours.
    const isOfOurFile = peer === undefined || equalBytes(peer.digest, this.#options.digest);
    const filed = isOfOurFile ? this.#options.nodeGroups.get(sender.name) : undefined;
    const groups = [...sender.groups, ...(filed ?? [])];
    const policy = this.#policyFor({ name: sender.name, groups });
    if (policy === undefined) return true;
    const gate = this.#floodGates.get(sender.address) ?? new AclGate(policy);
    gate.policy = policy;
    this.#remember(sender.address, gate);
    return gate.passes(now, frame);
  }

  #policyFor(peer: Subject): AclPolicy | undefined {
    if (this.#options === undefined) return undefined;
    return policyBetween(this.#options.rules, peer, this.#options.self());
  }

  #remember(address: RingAddress, gate: AclGate): void {
    this.#floodGates.delete(address);
    this.#floodGates.set(address, gate);
    const oldest = this.#floodGates.keys().next();
    if (this.#floodGates.size > FLOOD_GATES_MAX && !oldest.done) {
      this.#floodGates.delete(oldest.value);
    }
  }
}

/** A file's groups count only between equal files: another one may mean other machines. */
function subjectOf(peer: PeerInfo, { nodeGroups, digest }: AccessOptions): Subject {
  const filed = equalBytes(peer.digest, digest) ? nodeGroups.get(peer.name) : undefined;
  return { name: peer.name, groups: [...peer.groups, ...(filed ?? [])] };
}
