/**
 * A bridge of this host that the TAP becomes a port of. The bridge is the user's: it is looked at and
 * given a port, never made or removed.
 */
import { type Mac, parseMac } from "../base/net.ts";
import { type IpResult, type IpRunner, runIp } from "./interface.ts";

export interface BridgeFacts {
  readonly mac: Mac;
  readonly mtu: number;
  readonly isUp: boolean;
  /** The kernel gives each interface another one, of the same name too. */
  readonly index: number;
}

export type BridgeLook =
  | { readonly ok: true; readonly facts: BridgeFacts }
  /** `missing`: no interface of that name. `other`: it is no bridge. */
  | { readonly ok: false; readonly why: "missing" | "other" | "failed"; readonly detail: string };

export class HostBridge {
  readonly name: string;
  readonly #run: IpRunner;

  constructor(name: string, run: IpRunner = runIp) {
    this.name = name;
    this.#run = run;
  }

  async look(): Promise<BridgeLook> {
    const shown = await this.#run(["-j", "-d", "link", "show", "dev", this.name]);
    if (shown.ok) return readFacts(shown.stdout);
    const why = /does not exist|cannot find device/i.test(shown.detail) ? "missing" : "failed";
    return { ok: false, why, detail: shown.detail };
  }

  /**
   * Keeps the MAC as it is. Unless told, a bridge takes the lowest of its ports: with the next port
   * the machine would be another one to everybody who knows it, our lease among them.
   */
  keepMac(mac: Mac): Promise<IpResult> {
    return this.#run(["link", "set", "dev", this.name, "address", mac]);
  }

  /** No-op for an interface that is a port already. */
  addPort(device: string): Promise<IpResult> {
    return this.#run(["link", "set", "dev", device, "master", this.name]);
  }
}

function readFacts(text: string): BridgeLook {
  const [link] = parseLinks(text);
  const mac = parseMac(String(link?.address ?? ""));
  if (link?.linkinfo?.info_kind !== "bridge" || mac === undefined) {
    return { ok: false, why: "other", detail: `it is ${link?.linkinfo?.info_kind ?? "no bridge"}` };
  }
  const isUp = link.flags?.includes("UP") === true;
  return { ok: true, facts: { mac, mtu: Number(link.mtu), isUp, index: Number(link.ifindex) } };
}

/** What is used of one link of `ip -j -d link`. */
interface ShownLink {
  readonly ifindex?: number;
  readonly address?: string;
  readonly mtu?: number;
  readonly flags?: readonly string[];
  readonly linkinfo?: { readonly info_kind?: string };
}

function parseLinks(text: string): readonly ShownLink[] {
  try {
    const links: unknown = JSON.parse(text);
    return Array.isArray(links) ? (links as ShownLink[]) : [];
  } catch {
    return [];
  }
}
