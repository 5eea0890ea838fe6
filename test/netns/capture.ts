/** What passes an interface, recorded by tcpdump and read back by tshark or as bytes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Site } from "../../lab/lab.ts";
import { eventually, type Running, run } from "../../lab/shell.ts";

let captures = 0;
/** What the kernel keeps while tcpdump waits for a processor. */
const BUFFER_KIB = 16_384;
const PCAP_HEADER = 24;
const RECORD_HEADER = 16;
/** Ethernet, IPv4, UDP. */
const HEADERS = 14 + 20 + 8;

export class Capture {
  readonly file: string;
  readonly #tcpdump: Running;

  private constructor(file: string, tcpdump: Running) {
    this.file = file;
    this.#tcpdump = tcpdump;
  }

  /**
   * Returns when packets are being recorded.
   * @param filter pcap expression
   * @param bytes kept of each packet; default all
   */
  static async start(site: Site, device: string, filter: string, bytes = 0): Promise<Capture> {
    const file = join(site.folder, `capture-${++captures}.pcap`);
    // immediate and -U: a packet is in the file when it passed; -Z root: the folder is ours alone
    const prompt = ["--immediate-mode", "-U", "-B", `${BUFFER_KIB}`, "-Z", "root"];
    const options = ["-i", device, "-n", "-s", `${bytes}`, ...prompt, "-w", file];
    const tcpdump = site.start(["tcpdump", ...options, filter]);
    const listening = async () => tcpdump.output.includes("listening on");
    await eventually(`tcpdump listens on ${device}`, listening, 10_000, 20);
    return new Capture(file, tcpdump);
  }

  /** Fields of the packets that `display` (a tshark filter) shows, one row a packet. */
  async read(display: string, fields: readonly string[]): Promise<string[][]> {
    const columns = ["-T", "fields", ...fields.flatMap((field) => ["-e", field])];
    const tshark = ["tshark", "-n", "-r", this.file, "-Y", display, ...columns];
    const rows = (await run(tshark)).split("\n").filter((row) => row !== "");
    return rows.map((row) => row.split("\t"));
  }

  /** UDP payloads with their source and destination address, oldest first. */
  async datagrams(display: string): Promise<Datagram[]> {
    const rows = await this.read(`udp && (${display})`, ["ip.src", "ip.dst", "udp.payload"]);
    return rows.map(([from = "", to = "", payload = ""]) => ({ from, to, payload }));
  }

  /** Hex digits of UDP payloads, of IPv4 packets without options; for more than tshark may print. */
  udpPayloads(): string[] {
    const bytes = this.bytes();
    const payloads: string[] = [];
    for (let at = PCAP_HEADER; at + RECORD_HEADER <= bytes.length; ) {
      const length = bytes.readUInt32LE(at + 8);
      const frame = at + RECORD_HEADER;
      payloads.push(bytes.toString("hex", frame + HEADERS, frame + length));
      at = frame + length;
    }
    return payloads;
  }

  /** Everything recorded, headers of the file included. */
  bytes(): Buffer {
    return readFileSync(this.file);
  }

  async end(): Promise<void> {
    await this.#tcpdump.stop("SIGINT");
  }
}

export interface Datagram {
  readonly from: string;
  readonly to: string;
  /** hex digits */
  readonly payload: string;
}
