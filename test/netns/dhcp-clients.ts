/** DHCP clients of Debian, each as it is run on a real machine. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Site } from "../../lab/lab.ts";
import type { Running } from "../../lab/shell.ts";
import { type Reason, requireCommand, requireFile } from "../support/requires.ts";
import type { Capture } from "./capture.ts";

const NETWORKD = "/lib/systemd/systemd-networkd";

/** Clients differ in the words they call the script with; the address is set the same way. */
function scriptText(device: string): string {
  return `#!/bin/sh
case "\${reason:-$1}" in
  bound|renew) ip addr replace "$ip/$mask" dev ${device} ;;
  BOUND|RENEW|REBIND|REBOOT) ip addr replace "$new_ip_address/16" dev ${device} ;;
  deconfig) ip -4 addr flush dev ${device} ;;
esac
exit 0
`;
}

function networkdText(device: string): string {
  return `[Match]
Name=${device}
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
ClientIdentifier=mac
UseDNS=no
SendDecline=yes
`;
}

export interface DhcpClient {
  readonly name: string;
  readonly needs: Reason;
  /** What is run on the machine, given its interface, folder and the script. */
  argv(device: string, folder: string, script: string): readonly string[];
}

/** All of them look whether somebody has the address already, as far as they can. */
export const DHCP_CLIENTS: readonly DhcpClient[] = [
  {
    name: "udhcpc",
    needs: requireCommand("udhcpc"),
    argv: (device, _folder, script) => [
      ...["udhcpc", "-f", "-a", "-i", device, "-s", script, "-t", "20", "-T", "3"],
    ],
  },
  {
    name: "dhclient",
    needs: requireCommand("dhclient"),
    argv: (device, folder, script) => [
      ...["dhclient", "-4", "-d", "-sf", script, "-cf", "/dev/null"],
      ...["-lf", join(folder, "dhclient.leases"), "-pf", join(folder, "dhclient.pid"), device],
    ],
  },
  {
    // Its folders are fixed: the namespace's own mounts hide the machine's.
    name: "dhcpcd",
    needs: requireCommand("dhcpcd"),
    argv: (device, folder, script) => {
      const state = join(folder, "dhcpcd");
      const hide = `mkdir -p ${state} && mount --bind ${state} /var/lib/dhcpcd && mount -t tmpfs tmpfs /run`;
      const run = `exec dhcpcd -4 -B -f /dev/null -c ${script} ${device}`;
      return ["sh", "-c", `mkdir -p /var/lib/dhcpcd && ${hide} && ${run}`];
    },
  },
  {
    // A read-only /sys tells it that there is no udev to wait for; it sets the address itself.
    name: "networkd",
    needs: requireFile(NETWORKD),
    argv: (device, folder) => {
      const file = join(folder, "10-weft.network");
      writeFileSync(file, networkdText(device));
      const run = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/network /run/systemd/netif";
      const own = `cp ${file} /run/systemd/network/ && chown -R systemd-network /run/systemd/netif`;
      return ["sh", "-c", `${run} && ${own} && mount -o remount,ro /sys && exec ${NETWORKD}`];
    },
  },
];

export function clientsHere(title: string): readonly DhcpClient[] {
  return DHCP_CLIENTS.filter(({ name, needs }) => {
    if (needs !== undefined) console.log(`skipped: ${title}: ${name}: ${needs}`);
    return needs === undefined;
  });
}

export function startDhcpClient(client: DhcpClient, site: Site, device: string): Running {
  const script = join(site.folder, "dhcp-script");
  writeFileSync(script, scriptText(device), { mode: 0o755 });
  return site.start(client.argv(device, site.folder, script));
}

/** From its first DISCOVER or REQUEST to its first ACK. */
export async function secondsToAck(capture: Capture, mac: string): Promise<number> {
  const own = `dhcp.hw.mac_addr == ${mac}`;
  const [first] = await capture.read(own, ["frame.time_epoch"]);
  const [ack] = await capture.read(`${own} && dhcp.option.dhcp == 5`, ["frame.time_epoch"]);
  return Number(ack?.[0]) - Number(first?.[0]);
}
