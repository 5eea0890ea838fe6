/** What can be wrong with a site's way to the internet: lost packets, and sizes that vanish silently. */
import type { Lab, Site } from "./lab.ts";

export interface Faults {
  /** Lost each way, at random. */
  readonly lossPercent?: number;
  /** IP packets longer than this vanish, and no ICMP says so. */
  readonly holeBytes?: number;
}

/** @param machine a site on the internet, or the outermost NAT box of one */
export async function addFaults(lab: Lab, machine: Site, faults: Faults): Promise<void> {
  const { lossPercent = 0, holeBytes } = faults;
  const which = [
    `numgen random mod 1000 < ${Math.round(lossPercent * 10)}`,
    ...(holeBytes === undefined ? [] : [`meta length > ${holeBytes}`]),
  ];
  const cable = [`iifname "${machine.port}"`, `oifname "${machine.port}"`];
  const ip = "ether type { ip, ip6 }";
  const rules = cable.flatMap((end) => which.map((what) => `${end} ${ip} ${what} drop`));
  await lab.addRules(`faults-${machine.port}`, ...rules);
}
