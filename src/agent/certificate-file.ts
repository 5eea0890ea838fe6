/**
 * The certificates of this node, in its state folder: one, or two while its key is being replaced, of
 * which the one for the key in `identity.key` counts.
 *
 *     weft certificate 1
 *     <base64 of a certificate or chain>      one line each
 *     <checksum, sealed-text.ts>
 */
import { join } from "node:path";
import { dateFaultOf } from "../crypto/authority-rules.ts";
import { parseChain } from "../crypto/certificate-chain.ts";
import { deriveClusterKeys } from "../crypto/cluster-keys.ts";
import { identityFromSeed } from "../crypto/identity.ts";
import { Membership } from "../crypto/membership.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { Config } from "./config.ts";
import { writeDurable } from "./durable-file.ts";
import { messageOf, systemCodeOf, WeftError } from "./errors.ts";
import { emitSealedText, parseSealedText, readStateFile } from "./sealed-text.ts";

const TITLE = "weft certificate 1";
const MAX_BYTES = 4_096;

/** This node's certificate, and the name that it gives it. */
export interface Wearable {
  readonly bytes: Uint8Array;
  readonly name: string;
}

export function certificateFile(folder: string): string {
  return join(folder, "certificate");
}

/** @param certificates the newest first @throws WeftError state-unwritable */
export function writeCertificates(folder: string, certificates: readonly Uint8Array[]): void {
  const path = certificateFile(folder);
  const lines = certificates.map((bytes) => Buffer.from(bytes).toString("base64"));
  try {
    writeDurable(path, emitSealedText(TITLE, lines), 0o600);
  } catch (error) {
    throw new WeftError(
      "state-unwritable",
      `${path} cannot be written (${systemCodeOf(error) ?? messageOf(error)}): free space or choose another --state-dir`,
    );
  }
}

/** Empty when there are none. @throws WeftError state-unwritable | certificate-damaged */
export function readCertificates(folder: string): readonly Uint8Array[] {
  const path = certificateFile(folder);
  const bytes = readStateFile(path, MAX_BYTES);
  if (bytes === undefined) return [];
  const lines = parseSealedText(TITLE, bytes.toString("latin1"));
  if (lines !== undefined) return lines.map((line) => new Uint8Array(Buffer.from(line, "base64")));
  throw new WeftError(
    "certificate-damaged",
    `${path} is damaged: restore it from a backup, or remove it and join again (weft join)`,
  );
}

/**
 * The certificate that this node starts with; undefined in \`secret:\` mode.
 *
 * @throws WeftError no-certificate | certificate-foreign | certificate-damaged | state-unwritable
 */
export function loadCertificate(
  suite: CryptoSuite,
  config: Pick<Config, "name" | "networkKey" | "authority">,
  folder: string,
  seed: Uint8Array,
): Wearable | undefined {
  if (config.authority === undefined) return undefined;
  const stored = readCertificates(folder);
  if (stored.length === 0) {
    throw new WeftError(
      "no-certificate",
      `this machine has no certificate of ${config.name}: weft join TOKEN with an invite, or have the key that weft keygen prints signed (weft sign)`,
    );
  }
  const found = stored.map((bytes) => wearable(suite, config, seed, bytes)).find(Boolean);
  if (found !== undefined) return found;
  throw new WeftError(
    "certificate-foreign",
    `${certificateFile(folder)} is not for this node's key, or not signed by the authority in the cluster file: join again (weft join)`,
  );
}

/** Whether peers would accept it now. */
export function isInDate(bytes: Uint8Array, wallSeconds: number): boolean {
  const chain = parseChain(bytes);
  return chain.ok && dateFaultOf(chain.value, wallSeconds) === undefined;
}

/** undefined: it is not for this key, this network or this authority. Dates do not matter. */
export function wearable(
  suite: CryptoSuite,
  config: Pick<Config, "networkKey" | "authority">,
  seed: Uint8Array,
  bytes: Uint8Array,
): Wearable | undefined {
  const keys = deriveClusterKeys(suite, config.networkKey, config.authority);
  const own = new Membership(suite, keys).adoptOwn(identityFromSeed(suite, seed), bytes);
  const chain = parseChain(bytes);
  if (!own.ok || !chain.ok) return undefined;
  return { bytes, name: own.value.certificate.name };
}
