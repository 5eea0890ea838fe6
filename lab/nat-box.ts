/**
 * A router with a NAT: one cable to the internet (or to the LAN of another box, which then is a
 * carrier-grade NAT), and a LAN for the machines behind it.
 *
 *      internet --- wan [ box ] lan --- eth0 [ site ]
 *                               lan --- eth0 [ another site, or the wan of another box ]
 */
import type { Lab, Site, Switch } from "./lab.ts";
import type { NatKind } from "./nat-kind.ts";
import { FIRST_INSIDE, type NatOptions, natRules } from "./nat-rules.ts";
import { run } from "./shell.ts";

/** Every home uses the same addresses, as real ones do. */
const HOME = "192.168.1";
/** RFC 6598: what a carrier gives its customers. */
const CARRIER = "100.64.0";

export interface BoxOptions extends NatOptions {
  readonly kind: NatKind;
  /** The carrier's box this one is behind; default: it is on the internet. */
  readonly behind?: NatBox;
  /** It serves other boxes: addresses of RFC 6598, and no customer sees another one's frames. */
  readonly isCarrier?: boolean;
  /** First three bytes of the addresses inside; default `192.168.1`. */
  readonly lan?: string;
}

export class NatBox {
  readonly machine: Site;
  readonly lan: string;
  #options: BoxOptions;
  readonly #lab: Lab;
  #inside = FIRST_INSIDE;
  #outside: string;

  private constructor(lab: Lab, machine: Site, options: BoxOptions) {
    this.#lab = lab;
    this.machine = machine;
    this.#options = options;
    this.#outside = machine.ip;
    this.lan = options.lan ?? (options.isCarrier === true ? CARRIER : HOME);
  }

  static async create(lab: Lab, name: string, options: BoxOptions): Promise<NatBox> {
    const { behind } = options;
    const identity = behind === undefined ? lab.takeAddress() : behind.#takeAddress();
    const machine = await lab.addMachine({ name, ...identity });
    const box = new NatBox(lab, machine, options);
    await lab.plug(machine, "wan", behind?.lanSwitch ?? lab.internetSwitch);
    if (behind !== undefined) await behind.#isolate(machine.port);
    await box.#configure(behind === undefined ? undefined : `${behind.lan}.1`);
    await box.#load();
    return box;
  }

  /** Its address on the internet, or on the carrier's net. */
  get outside(): string {
    return this.#outside;
  }

  get lanSwitch(): Switch {
    return { namespace: this.machine.namespace, bridge: "lan" };
  }

  /** A machine inside. */
  async addSite(name: string): Promise<Site> {
    const site = await this.#lab.addMachine({ name, ...this.#takeAddress() });
    await this.connect(site, site.ip);
    return site;
  }

  /** A machine without a cable gets one here. @returns its address inside */
  async connect(site: Site, ip = this.#takeAddress().ip): Promise<string> {
    await this.#lab.plug(site, "eth0", this.lanSwitch);
    await batch(site, [
      `addr add ${ip}/24 dev eth0`,
      `route add default via ${this.lan}.1 dev eth0`,
    ]);
    return ip;
  }

  /** Forgets all mappings, as a router does that restarts. Pass options to come back changed. */
  async reboot(changed: NatOptions = {}): Promise<void> {
    this.#options = { ...this.#options, ...changed };
    await this.#load();
    await this.machine.run(["conntrack", "-F"]);
  }

  /** The provider gives the box another address; nobody inside notices. */
  async renumber(): Promise<string> {
    const { ip } = this.#lab.takeAddress();
    await batch(this.machine, [
      `addr del ${this.#outside}/24 dev wan`,
      `addr add ${ip}/24 dev wan`,
    ]);
    this.#outside = ip;
    await this.reboot();
    return ip;
  }

  /** Rules of a test's own, beside those of the kind. `undo` them with `nft delete table`. */
  async addRules(text: string): Promise<void> {
    await this.machine.run(["nft", "-f", "-"], { input: text });
  }

  #takeAddress() {
    const last = this.#inside++;
    return { ip: `${this.lan}.${last}`, port: `c${last}` };
  }

  /** Two customers of a carrier meet at its router only, never on one wire. */
  async #isolate(port: string): Promise<void> {
    await this.machine.run(["bridge", "link", "set", "dev", port, "isolated", "on"]);
  }

  async #configure(gateway: string | undefined): Promise<void> {
    const { machine, lan } = this;
    await machine.finish(["sysctl", "-qew", ...SYSCTLS]);
    await batch(machine, [
      "link add lan type bridge forward_delay 0",
      "link set lan up",
      `addr add ${lan}.1/24 dev lan`,
      `addr add ${machine.ip}/24 dev wan`,
      // what is not on this internet vanishes, as at a provider
      gateway === undefined
        ? "route add blackhole default"
        : `route add default via ${gateway} dev wan`,
    ]);
  }

  async #load(): Promise<void> {
    const place = { outside: this.#outside, inside: this.lan };
    const rules = natRules(this.#options.kind, place, this.#options);
    await this.machine.run(["nft", "-f", "-"], { input: rules });
    const { udpSeconds } = this.#options;
    if (udpSeconds === undefined) return;
    const keys = ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"];
    const values = keys.map((key) => `net.netfilter.${key}=${udpSeconds}`);
    await this.machine.run(["sysctl", "-qw", ...values]);
  }
}

const SYSCTLS = ["net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=0"];

function batch(machine: Site, lines: readonly string[]): Promise<string> {
  const ip = ["ip", "-n", machine.namespace, "-batch", "-"];
  return run(ip, { input: `${lines.join("\n")}\n` });
}
