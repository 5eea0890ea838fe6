/** Every decoder of text that comes from outside: files, tokens, options, the control socket. */
import { parseBootstrapEntry } from "../../src/agent/bootstrap-entry.ts";
import { fileSchema } from "../../src/agent/config-schema.ts";
import { ConfigFile } from "../../src/agent/config-source.ts";
import { MAX_REQUEST_BYTES, requestSchema } from "../../src/agent/control-protocol.ts";
import { parseDuration } from "../../src/agent/duration.ts";
import { WeftError } from "../../src/agent/errors.ts";
import { parseHostPort, parsePort } from "../../src/agent/host-port.ts";
import { emitIdentity, parseIdentity } from "../../src/agent/identity-file.ts";
import { decodeToken, encodeToken } from "../../src/agent/join-token.ts";
import { LineSplitter } from "../../src/agent/line-splitter.ts";
import { generateNetworkKey, parseNetworkKey } from "../../src/agent/network-key.ts";
import { parseNoProxy } from "../../src/agent/no-proxy.ts";
import { parseProxy } from "../../src/agent/proxy-setting.ts";
import { parseRelay } from "../../src/agent/relay-setting.ts";
import { parseReservedBy, readReservations } from "../../src/agent/reservations.ts";
import { emitState, parseState } from "../../src/agent/state-file.ts";
import { parseIp, parseMac, parseSubnet, type Subnet } from "../../src/base/net.ts";
import { parseGateway } from "../../src/io/gateway.ts";
import type { Decoder } from "./decoder.ts";
import { MEMBER_TEXTS } from "./member-decoders.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
const bytes = (words: string): Uint8Array => new Uint8Array(Buffer.from(words));

type Row = [name: string, decode: (words: string) => unknown, ...samples: string[]];

const RANGE = parseSubnet("10.117.0.0/16") as Subnet;

const ROWS: readonly Row[] = [
  ["base/net.ts:parseIp", parseIp, "10.117.0.9", "2001:db8::1", "::ffff:192.0.2.1"],
  ["base/net.ts:parseMac", parseMac, "02:00:00:00:00:01"],
  ["base/net.ts:parseSubnet", parseSubnet, "10.117.0.0/16"],
  [
    "agent/bootstrap-entry.ts:parseBootstrapEntry",
    parseBootstrapEntry,
    "192.0.2.1:7117",
    "vpn.example.org",
    "[2001:db8::1]:7200",
  ],
  ["agent/duration.ts:parseDuration", parseDuration, "1h30m", "90s", "86400"],
  ["agent/host-port.ts:parseHostPort", (words) => parseHostPort(words), "192.0.2.1:7117", "a.b"],
  ["agent/host-port.ts:parsePort", (words) => parsePort(words, 1), "7117"],
  ["agent/identity-file.ts:parseIdentity", parseIdentity, emitIdentity(new Uint8Array(32).fill(9))],
  ["agent/network-key.ts:parseNetworkKey", parseNetworkKey, generateNetworkKey()],
  ["agent/no-proxy.ts:parseNoProxy", parseNoProxy, "localhost,10.0.0.0/8,.example.org", "*"],
  [
    "agent/proxy-setting.ts:parseProxy",
    parseProxy,
    "auto",
    "http://user:word@192.0.2.1:3128",
    "http://proxy.example.org",
  ],
  ["agent/relay-setting.ts:parseRelay", parseRelay, "members", "limit 100mbit total 1gbit"],
  [
    "agent/reservations.ts:parseReservedBy",
    parseReservedBy,
    "52:54:00:12:34:56",
    "id:01525400123456",
    "printer",
  ],
  [
    "agent/reservations.ts:readReservations",
    (words) => readReservations({ [words]: "10.117.0.50" }, { range: RANGE, claims: [] }),
    "52:54:00:12:34:56",
    "printer",
  ],
  [
    "agent/state-file.ts:parseState",
    parseState,
    emitState({
      version: 1,
      leases: [{ client: "01", mac: "02:00:00:00:00:01", ip: "10.117.0.9", epoch: 3, version: 7 }],
      peers: [
        { address: "ab".repeat(20), name: "beta", endpoint: { ip: "192.0.2.1", port: 7117 } },
      ],
    }),
  ],
  [
    "io/gateway.ts:parseGateway",
    parseGateway,
    "Iface\tDestination\tGateway\neth0\t00000000\tFE00000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
  ],
  ["agent/line-splitter.ts:LineSplitter", requests, '{"id":1,"method":"status"}\n', "\n\n{}\n"],
  [
    "agent/config-source.ts:ConfigFile",
    clusterFile,
    `name: lab\nsecret: ${generateNetworkKey()}\nbootstrap: [192.0.2.1:7117]\nnodes:\n  a: {ip: 10.1.0.2}\n`,
    "a: &x [1, 2]\nb: [*x, *x]\n",
    '"name": "lab"\n"range": 10.7.0.0/16 # here\n',
  ],
];

/** What comes in over the control socket, cut into requests. */
function requests(words: string): unknown {
  const lines = new LineSplitter(MAX_REQUEST_BYTES).push(Buffer.from(words));
  return lines?.map((line) => requestSchema.safeParse(jsonOf(line)).data ?? "refused");
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** The values, or one line for each problem. */
function clusterFile(words: string): unknown {
  const file = new ConfigFile("lab.yaml", words);
  if (file.problems.length > 0) return undefined;
  fileSchema.safeParse(file.values);
  file.place(["nodes", "a", "ip"]);
  return file.values ?? {};
}

const TOKEN = encodeToken({
  name: "lab",
  secret: generateNetworkKey(),
  values: { bootstrap: ["192.0.2.1:7117"], range: "10.7.0.0/16" },
});

const token: Decoder = {
  name: "src/agent/join-token.ts:decodeToken",
  decode: (input) => decodeToken(text(input)),
  samples: [bytes(TOKEN), bytes(`sudo weft join ${TOKEN}\n`)],
  refuses: (error) => error instanceof WeftError && error.code === "token-invalid",
};

/**
 * YAML's own bound: an alias may repeat what it names, 100 times in all (`maxAliasCount`); zod and the
 * parser put their words around one short line.
 */
const ROOM_OF_TEXT = 16_384;

export const TEXT_DECODERS: readonly Decoder[] = [
  ...[...ROWS, ...MEMBER_TEXTS].map(([name, decode, ...samples]) => ({
    name: `src/${name}`,
    decode: (input: Uint8Array) => decode(text(input)),
    samples: samples.map(bytes),
    fixedBytes: ROOM_OF_TEXT,
  })),
  token,
];
