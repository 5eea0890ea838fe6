/**
 * perfdhcp as many machines on one LAN. By itself it plays a relay agent; templates of its packets make
 * plain clients of it (giaddr 0, answers by broadcast). Its socket hears what is sent to its own address,
 * so the machine's filter puts that into the answers.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Site } from "../../lab/lab.ts";

const DISCOVER = 1;
const REQUEST = 3;
const CLIENT_PORT = "68";
/** Offsets in a DHCP message (RFC 2131, 2): the end of chaddr's six octets, and the options. */
const XID_AT = 4;
const CHADDR_ENDS_AT = 33;
const SERVER_IDENTIFIER_AT = 243;
const REQUESTED_IP_AT = 249;
/** Clients of perfdhcp differ in the last octets; these are of no machine. */
const FIRST_MAC = "02:d6:00:00:00:00";

export interface Storm {
  readonly clients: number;
  readonly perSecond: number;
  readonly seconds: number;
}

export interface StormReport {
  /** OFFERs and ACKs that came back. */
  readonly offers: number;
  readonly acks: number;
  readonly discovers: number;
  readonly requests: number;
}

/** Each message is one of a relay agent: whoever answers sends to the agent, not to the client. */
export function stormOfRelayAgent(at: Site, device: string, storm: Storm): Promise<StormReport> {
  return perfdhcp(at, storm, ["-l", device]);
}

/** @param ip the machine's own address on that device */
export async function stormOfClients(
  at: Site,
  { device, ip }: { readonly device: string; readonly ip: string },
  storm: Storm,
): Promise<StormReport> {
  const rules = `table ip storm {
  chain in {
    type filter hook prerouting priority raw; policy accept;
    udp dport ${CLIENT_PORT} ip daddr set ${ip}
  }
}
`;
  await at.run(["nft", "-f", "-"], { input: rules });
  const templates = [DISCOVER, REQUEST].flatMap((type) => {
    const file = join(at.folder, `dhcp-${type}.hex`);
    writeFileSync(file, template(type));
    return ["-T", file, "-X", `${XID_AT}`, "-O", `${CHADDR_ENDS_AT}`];
  });
  const fields = ["-S", `${SERVER_IDENTIFIER_AT}`, "-I", `${REQUESTED_IP_AT}`];
  const mac = ["-b", `mac=${FIRST_MAC}`];
  const words = ["-l", device, "-L", CLIENT_PORT, ...mac, ...templates, ...fields];
  const report = await perfdhcp(at, storm, words);
  await at.run(["nft", "delete", "table", "ip", "storm"]);
  return report;
}

async function perfdhcp(at: Site, storm: Storm, words: readonly string[]): Promise<StormReport> {
  const { clients, perSecond, seconds } = storm;
  const load = ["-R", `${clients}`, "-p", `${seconds}`, "-r", `${perSecond}`];
  // it ends with 3 when an answer was late
  const { stdout, stderr } = await at.finish(
    ["perfdhcp", "-4", "-B", "-g", "single", "-t", "10", ...load, ...words, "all"],
    { timeoutMs: (seconds + 60) * 1_000 },
  );
  return readReport(stdout + stderr);
}

/** Its statistics come in two parts, DISCOVER-OFFER and REQUEST-ACK. */
function readReport(output: string): StormReport {
  const count = (exchange: string, what: string): number => {
    const part = output.slice(output.lastIndexOf(`***Statistics for: ${exchange}***`));
    return Number(new RegExp(`^${what}: (\\d+)`, "m").exec(part)?.[1] ?? Number.NaN);
  };
  return {
    discovers: count("DISCOVER-OFFER", "sent packets"),
    offers: count("DISCOVER-OFFER", "received packets"),
    requests: count("REQUEST-ACK", "sent packets"),
    acks: count("REQUEST-ACK", "received packets"),
  };
}

/** A BOOTREQUEST as hexadecimal digits, with the broadcast flag set. */
function template(type: number): string {
  const message = Buffer.alloc(300);
  message.set([1, 1, 6], 0);
  message.writeUInt16BE(0x8000, 10);
  message.writeUInt32BE(0x63825363, 236);
  const options = type === DISCOVER ? [] : [54, 4, 0, 0, 0, 0, 50, 4, 0, 0, 0, 0];
  message.set([53, 1, type, ...options, 255], 240);
  return message.toString("hex");
}
