/** Makes a cable of the lab long: what it carries arrives later, in both directions. */
import { buildProgram } from "./cc-program.ts";
import type { Lab, Site } from "./lab.ts";
import { eventually, run } from "./shell.ts";

/** The end of a cable to the internet: `eth0` of a site, or `wan` of a NAT box. */
export interface CableEnd {
  readonly machine: Site;
  readonly device: string;
}

/** @param delayMs in each direction */
export async function addDelay(lab: Lab, end: CableEnd, delayMs: number): Promise<void> {
  const program = await buildProgram("path-delay");
  const { machine, device } = end;
  const { port } = machine;
  const [near, far] = [`n${port}`, `f${port}`];
  const { namespace, bridge } = lab.internetSwitch;
  // The bridge's new port takes the old one's name, so that rules about this cable still hold.
  const steps = [
    `link set ${port} down`,
    `link set ${port} nomaster`,
    `link set ${port} name ${near}`,
    `link add ${port} type veth peer name ${far}`,
    `link set ${port} master ${bridge}`,
    ...[near, far, port].map((name) => `link set ${name} up`),
  ];
  await run(["ip", "-n", namespace, "-batch", "-"], { input: `${steps.join("\n")}\n` });
  // Only what leaves as whole packets with whole checksums can be copied by hand.
  await machine.run(["ethtool", "-K", device, ...OFFLOADS_OFF]);
  await lab.middle.run(["ethtool", "-K", port, ...OFFLOADS_OFF]);
  const running = lab.middle.start([program, near, far, `${delayMs}`]);
  await eventually("path-delay runs", async () => running.output.includes("ready"), 5_000, 10);
}

const OFFLOADS_OFF = ["tx", "off", "gso", "off", "tso", "off", "gro", "off"];
