/** `weft revoke`: shuts a member out with the authority's key; every other member hears of it. */
import { z } from "zod";
import { parseAuthorityKey } from "../../agent/authority-key.ts";
import { loadConfig } from "../../agent/config.ts";
import { callAgent } from "../../agent/control-client.ts";
import { EXIT, WeftError } from "../../agent/errors.ts";
import { fromHex, toHex } from "../../base/bytes.ts";
import {
  emitRevocations,
  MAX_REVOKED_KEYS,
  MAX_REVOKED_SERIALS,
  type RevokedLists,
} from "../../crypto/revocations.ts";
import type { KeyPair } from "../../crypto/suite.ts";
import { authorityPair, KEY_FILE_OPTION } from "../authority-pair.ts";
import { type Command, type CommandContext, flagArg, textArg } from "../command.ts";
import { loadSuite } from "../load-suite.ts";
import { NoticeDesk } from "../notice-desk.ts";
import { configSources, controlSocket, outputOptions, selectNetwork } from "../options.ts";
import { print } from "../output.ts";

/** Whom a name, a key or a serial number means. */
interface Target {
  readonly keys: readonly Uint8Array[];
  readonly serials: readonly bigint[];
}

type Known = { readonly name: string; readonly publicKey: string; readonly serial: string };

const membersShape = z.looseObject({
  members: z.array(z.looseObject({ name: z.string(), publicKey: z.string(), serial: z.string() })),
});

export const revokeCommand: Command = {
  name: "revoke [member] [network]",
  describe: "shut a member out with the authority's key; its sessions are cut everywhere",
  options: (yargs) =>
    yargs
      .positional("member", {
        type: "string",
        describe: "its name, public key, or serial number (`weft members -o wide`)",
      })
      .option("key-file", KEY_FILE_OPTION)
      .option("lift", { type: "boolean", describe: "let it in again" })
      .option("list", { type: "boolean", describe: "print the newest list as a word" })
      .option("offline", {
        type: "boolean",
        describe: "ask no agent: print the new list as a word for --apply at a member",
      })
      .option("onto", { type: "string", describe: "with --offline: the word of the list so far" })
      .option("apply", {
        type: "string",
        describe: "the word of a list that was signed elsewhere",
      }),
  async run(context) {
    const apply = textArg(context, "apply");
    const isAboutAll = apply !== undefined || flagArg(context, "list");
    const network = textArg(context, isAboutAll ? "member" : "network");
    const { terminal, args } = context;
    const selection = selectNetwork(terminal, args, network);
    const config = loadConfig(configSources(terminal, args, selection));
    const suite = await loadSuite();
    const desk = new NoticeDesk(suite, config);
    const socket = controlSocket(terminal, args, network);
    if (apply !== undefined) desk.readWord(apply);
    else if (!flagArg(context, "offline")) await desk.readAgent(socket);
    if (flagArg(context, "list")) return printWord(context, desk);
    if (apply === undefined) {
      const authority = authorityPair(context, suite, { config, selection });
      const isNew = await signNext(context, desk, { authority, socket });
      if (flagArg(context, "offline")) return printWord(context, desk);
      if (!isNew) return told(context, desk);
    }
    await desk.post(socket, "revocations");
    return told(context, desk);
  },
};

/** @returns whether there was anything to change */
async function signNext(
  context: CommandContext,
  desk: NoticeDesk,
  { authority, socket }: { readonly authority: KeyPair; readonly socket: string },
): Promise<boolean> {
  const member = memberIn(context);
  const onto = textArg(context, "onto");
  if (onto !== undefined) desk.readWord(onto);
  const known = flagArg(context, "offline") ? [] : await membersAt(socket);
  const body = changed(context, desk, targetIn(member, known));
  if (body !== undefined) desk.sign(authority, "revocations", body);
  return body !== undefined;
}

async function membersAt(socket: string): Promise<readonly Known[]> {
  return membersShape.parse(await callAgent(socket, "members")).members;
}

function memberIn(context: CommandContext): string {
  const member = textArg(context, "member");
  if (member !== undefined) return member;
  throw new WeftError("usage", "name whom to shut out: its name, public key, or serial number");
}

/**
 * A member that is linked here is out by key and by serial number; nobody else's name is known.
 *
 * @throws WeftError unknown-peer | usage
 */
function targetIn(
  text: string,
  members: readonly {
    readonly name: string;
    readonly publicKey: string;
    readonly serial: string;
  }[],
): Target {
  const named = members.filter(({ name }) => name === text);
  if (named.length > 1) {
    throw new WeftError(
      "usage",
      `${named.length} members are called ${text}: give the public key of the one you mean (weft members -o wide)`,
    );
  }
  const [one] = named;
  if (one !== undefined) {
    return {
      keys: [keyOf(one.publicKey) ?? new Uint8Array(0)],
      serials: [BigInt(`0x${one.serial}`)],
    };
  }
  // Its holder may have another key by now, under the same serial number: that one stays.
  const key = keyOf(text);
  if (key !== undefined) return { keys: [key], serials: [] };
  if (/^[0-9a-f]{16}$/.test(text)) return { keys: [], serials: [BigInt(`0x${text}`)] };
  throw new WeftError(
    "unknown-peer",
    `no member called ${text} is linked here: give its public key or serial number, as weft members -o wide shows them where it is linked, and weft sign or weft join printed them`,
  );
}

/** 64 hex digits, or 44 characters as `weft keygen` prints them. */
function keyOf(text: string): Uint8Array | undefined {
  return parseAuthorityKey(text) ?? (text.length === 64 ? fromHex(text) : undefined);
}

/** The body of the next list; undefined when it would say the same. @throws WeftError too-large */
function changed(
  context: CommandContext,
  desk: NoticeDesk,
  target: Target,
): Uint8Array | undefined {
  const before = desk.board.revocations;
  const lists = flagArg(context, "lift") ? without(before, target) : withAlso(before, target);
  const isFull = lists.keys.length > MAX_REVOKED_KEYS || lists.serials.length > MAX_REVOKED_SERIALS;
  if (isFull) {
    throw new WeftError(
      "too-large",
      `a list has room for ${MAX_REVOKED_KEYS} keys and ${MAX_REVOKED_SERIALS} serial numbers: lift those whose certificates have ended`,
    );
  }
  const isSame =
    lists.keys.length === before.keys.length && lists.serials.length === before.serials.length;
  return isSame ? undefined : emitRevocations(lists);
}

function withAlso(before: RevokedLists, { keys, serials }: Target): RevokedLists {
  const known = new Set(before.keys.map(toHex));
  return {
    keys: [...before.keys, ...keys.filter((key) => !known.has(toHex(key)))],
    // 0 is the serial number of everybody in `secret:` mode.
    serials: [...new Set([...before.serials, ...serials.filter((serial) => serial !== 0n)])],
  };
}

function without(before: RevokedLists, { keys, serials }: Target): RevokedLists {
  const lifted = new Set(keys.map(toHex));
  return {
    keys: before.keys.filter((key) => !lifted.has(toHex(key))),
    serials: before.serials.filter((serial) => !serials.includes(serial)),
  };
}

function told(context: CommandContext, desk: NoticeDesk): typeof EXIT.ok {
  const { number, keys, serials } = desk.board.revocations;
  const facts = { number, keys: keys.length, serials: serials.length };
  print(
    context.terminal,
    outputOptions(context.args),
    facts,
    () => `list ${number}: ${keys.length} keys and ${serials.length} serial numbers are revoked\n`,
  );
  return EXIT.ok;
}

/** @throws WeftError not-found */
function printWord(context: CommandContext, desk: NoticeDesk): typeof EXIT.ok {
  const word = desk.word("revocations");
  if (word === undefined)
    throw new WeftError("not-found", "nobody was revoked so far: there is no list");
  print(context.terminal, outputOptions(context.args), { word }, () => `${word}\n`);
  return EXIT.ok;
}
