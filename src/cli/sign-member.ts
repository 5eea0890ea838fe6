/** Signs a member in by the authority's own key, and the options that say what is signed. */
import { randomBytes } from "node:crypto";
import type { Argv } from "yargs";
import { ascending, ascendingIps } from "../agent/certificate-lists.ts";
import type { Config } from "../agent/config.ts";
import { WeftError } from "../agent/errors.ts";
import { type Ip, parseIp } from "../base/net.ts";
import { isValidName, MAX_CLAIMS, MAX_GROUPS, SALT_BYTES } from "../crypto/certificate.ts";
import { deriveClusterKeys } from "../crypto/cluster-keys.ts";
import { signAsAuthority } from "../crypto/issuing.ts";
import type { CryptoSuite, KeyPair } from "../crypto/suite.ts";
import { type CommandContext, numberArg, textArg } from "./command.ts";

const USUAL_DAYS = 365;
/** A century: past every machine, and far from where numbers lose their last digit. */
const MAX_DAYS = 36_500;

export interface Said {
  readonly groups: readonly string[];
  readonly claims: readonly Ip[];
}

export function addGroupOptions<T>(yargs: Argv<T>) {
  return yargs
    .option("groups", { type: "string", describe: "groups of the member, parted by commas" })
    .option("claims", {
      type: "string",
      describe: "addresses it may hold for good, parted by commas",
    });
}

export function addDaysOption<T>(yargs: Argv<T>) {
  return yargs.option("days", {
    type: "number",
    describe: `days that the certificate is good for (default ${USUAL_DAYS})`,
  });
}

/** @throws WeftError usage */
export function saidIn(context: CommandContext): Said {
  const groups = itemsOf(context, "groups", MAX_GROUPS);
  const wrong = groups.find((group) => !isValidName(group));
  if (wrong !== undefined) {
    throw new WeftError("usage", `--groups: ${JSON.stringify(wrong)} is none: use a-z 0-9 and -`);
  }
  const claims = itemsOf(context, "claims", MAX_CLAIMS).map((text) => {
    const ip = parseIp(text);
    if (ip !== undefined) return ip;
    throw new WeftError("usage", `--claims: ${JSON.stringify(text)} is no address`);
  });
  return { groups: ascending(groups), claims: ascendingIps(claims) };
}

/** @throws WeftError usage */
export function daysIn(context: CommandContext): number {
  const days = numberArg(context, "days") ?? USUAL_DAYS;
  if (Number.isInteger(days) && days >= 1 && days <= MAX_DAYS) return days;
  throw new WeftError("usage", `--days: write a whole number from 1 to ${MAX_DAYS}`);
}

export interface NewMember extends Said {
  readonly publicKey: Uint8Array;
  /** 16 bytes of the certificate that this one replaces. */
  readonly salt: Uint8Array | undefined;
  readonly name: string;
  readonly mayIssue: boolean;
  readonly days: number;
}

/** The certificate's bytes. @throws WeftError usage: it does not fit */
export function signMember(
  suite: CryptoSuite,
  authority: KeyPair,
  config: Pick<Config, "networkKey" | "authority">,
  member: NewMember,
): Uint8Array {
  if (suite.dhPublicOf(member.publicKey) === undefined) {
    throw new WeftError("usage", "the public key is none: copy what `weft keygen` printed there");
  }
  const { networkId } = deriveClusterKeys(suite, config.networkKey, config.authority);
  const { salt = new Uint8Array(randomBytes(SALT_BYTES)), ...said } = member;
  const serial = randomBytes(8).readBigUInt64LE();
  const wallSeconds = Math.floor(Date.now() / 1_000);
  return signAsAuthority(suite, authority, networkId, { ...said, salt, serial, wallSeconds });
}

function itemsOf(context: CommandContext, name: string, most: number): string[] {
  const text = textArg(context, name) ?? "";
  const items = text.split(",").map((item) => item.trim());
  const written = items.filter((item) => item !== "");
  if (written.length <= most) return written;
  throw new WeftError("usage", `--${name}: has more than ${most} items`);
}
