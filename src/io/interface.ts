/**
 * The TAP as a network interface of this host: address, MTU, up and down, removal, through the `ip`
 * command (iproute2). Nothing else in weft changes the host's network.
 */
import { execFile } from "node:child_process";
import {
  type Ip,
  ipv4FromNumber,
  ipv4Number,
  isIpv6,
  type Subnet,
  subnetContains,
  subnetSize,
} from "../base/net.ts";

export type IpResult =
  | { readonly ok: true; readonly stdout: string }
  | { readonly ok: false; readonly code: InterfaceFault; readonly detail: string };

export type InterfaceFault = "no-ip-command" | "no-capability" | "interface-failed";

/** Runs `ip` with these arguments; replaced in tests. */
export type IpRunner = (args: readonly string[]) => Promise<IpResult>;

/** Talking to the kernel takes milliseconds; a hung command must not hang the agent. */
const COMMAND_TIMEOUT_MS = 5_000;

export const runIp: IpRunner = (args) =>
  new Promise((resolve) => {
    const options = { timeout: COMMAND_TIMEOUT_MS, env: { PATH: searchPath(), LC_ALL: "C" } };
    execFile("ip", [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve({ ok: true, stdout });
      else resolve(faultOf(String(error.code ?? ""), stderr.trim() || error.message, args));
    });
  });

/** Services are often started without the sbin folders. */
function searchPath(): string {
  return `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;
}

function faultOf(code: string, detail: string, args: readonly string[]): IpResult {
  if (code === "ENOENT")
    return { ok: false, code: "no-ip-command", detail: "the command `ip` is missing" };
  const denied = /not permitted|permission denied/i.test(detail);
  const line = detail.split("\n")[0] ?? "";
  return {
    ok: false,
    code: denied ? "no-capability" : "interface-failed",
    detail: `ip ${args.join(" ")}: ${line}`,
  };
}

/** One interface. Calls take effect in the order they are made. */
export class HostInterface {
  readonly name: string;
  readonly #run: IpRunner;
  #last: Promise<unknown> = Promise.resolve();

  constructor(name: string, run: IpRunner = runIp) {
    this.name = name;
    this.#run = run;
  }

  setUp(mtu: number): Promise<IpResult> {
    return this.#queue(() => this.#run(["link", "set", "dev", this.name, "mtu", `${mtu}`, "up"]));
  }

  setMtu(mtu: number): Promise<IpResult> {
    return this.#queue(() => this.#run(["link", "set", "dev", this.name, "mtu", `${mtu}`]));
  }

  /**
   * Makes `ip` the one address of `range` on the interface. An address that is there already is left
   * alone, so that a restarted agent cuts no connection; addresses outside the range are not ours.
   */
  setAddress(ip: Ip, range: Subnet): Promise<IpResult> {
    return this.#queue(async () => {
      const present = await this.#addresses();
      if (!Array.isArray(present)) return present;
      const wanted = `${ip}/${range.prefix}`;
      const old = present.filter(
        (address) => address !== wanted && subnetContains(range, address.split("/")[0] ?? ""),
      );
      let result: IpResult = { ok: true, stdout: "" };
      // The old ones first: the kernel takes younger addresses of a network away with the oldest.
      for (const address of old) {
        if (result.ok) result = await this.#run(["addr", "del", address, "dev", this.name]);
      }
      if (!result.ok || (present.includes(wanted) && old.length === 0)) return result;
      return this.#run(["addr", "replace", wanted, "brd", "+", "dev", this.name]);
    });
  }

  /** Takes `ip` away; that it is gone already is no fault. */
  clearAddress(ip: Ip): Promise<IpResult> {
    return this.#queue(async () => {
      const present = await this.#addresses();
      if (!Array.isArray(present)) return present;
      const found = present.find((address) => address.startsWith(`${ip}/`));
      if (found === undefined) return { ok: true, stdout: "" };
      return this.#run(["addr", "del", found, "dev", this.name]);
    });
  }

  /** Takes every address of `range` away: what weft set on an interface that stays. */
  clearRange(range: Subnet): Promise<IpResult> {
    return this.#queue(async () => {
      const present = await this.#addresses();
      if (!Array.isArray(present)) return present;
      const ours = present.filter((address) => subnetContains(range, address.split("/")[0] ?? ""));
      let result: IpResult = { ok: true, stdout: "" };
      for (const address of ours) {
        if (result.ok) result = await this.#run(["addr", "del", address, "dev", this.name]);
      }
      return result;
    });
  }

  async exists(): Promise<boolean> {
    return (await this.#run(["link", "show", "dev", this.name])).ok;
  }

  /** Removes the interface with its addresses and routes. */
  remove(): Promise<IpResult> {
    return this.#queue(() => this.#run(["link", "delete", "dev", this.name]));
  }

  /** `address/prefix` of every IPv4 address. */
  async #addresses(): Promise<string[] | IpResult> {
    const result = await this.#run(["-o", "-4", "addr", "show", "dev", this.name]);
    if (!result.ok) return result;
    return [...result.stdout.matchAll(/\binet (\d+\.\d+\.\d+\.\d+\/\d+)/g)].map(
      (match) => match[1] ?? "",
    );
  }

  #queue(step: () => Promise<IpResult>): Promise<IpResult> {
    const next = this.#last.then(step, step);
    this.#last = next;
    return next;
  }
}

/** An address of another interface, as node:os lists it. */
export interface HostAddress {
  readonly interface: string;
  readonly ip: Ip;
  readonly prefix: number;
}

/** The first interface other than ours whose network shares addresses with `range`. */
export function overlappingAddress(
  range: Subnet,
  own: string,
  addresses: readonly HostAddress[],
): HostAddress | undefined {
  return addresses.find((address) => {
    if (address.interface === own || isIpv6(address.ip) || address.prefix < 1) return false;
    const other = { first: networkOf(address.ip, address.prefix), prefix: address.prefix };
    return subnetContains(range, other.first) || subnetContains(other, range.first);
  });
}

function networkOf(ip: Ip, prefix: number): Ip {
  const size = subnetSize({ first: ip, prefix });
  return ipv4FromNumber(Math.floor(ipv4Number(ip) / size) * size);
}
