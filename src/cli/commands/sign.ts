/** `weft sign`: makes a machine a member with the authority's private key; needs no network. */
import { parseAuthorityKey } from "../../agent/authority-key.ts";
import { loadConfig } from "../../agent/config.ts";
import { EXIT, WeftError } from "../../agent/errors.ts";
import { decodeToken, encodeToken, MAX_TOKEN_CHARS } from "../../agent/join-token.ts";
import { pushedFor } from "../../agent/pushed-part.ts";
import { fromHex, toHex } from "../../base/bytes.ts";
import { type Certificate, isValidName } from "../../crypto/certificate.ts";
import { parseChain } from "../../crypto/certificate-chain.ts";
import { authorityPair, KEY_FILE_OPTION } from "../authority-pair.ts";
import { type Command, type CommandContext, flagArg, textArg } from "../command.ts";
import { tokenValues } from "../invitation.ts";
import { loadSuite } from "../load-suite.ts";
import { configSources, outputOptions, selectNetwork } from "../options.ts";
import { print } from "../output.ts";
import { sayShutOut, shutOutFacts } from "../shut-out-line.ts";
import {
  addDaysOption,
  addGroupOptions,
  daysIn,
  type NewMember,
  saidIn,
  signMember,
} from "../sign-member.ts";

/** What is signed, and what an earlier certificate of it said. */
interface Subject {
  readonly publicKey: Uint8Array;
  readonly before: Certificate | undefined;
}

export const signCommand: Command = {
  name: "sign [key] [network]",
  describe: "sign a machine in with the authority's key; prints what to type there",
  options: (yargs) =>
    addDaysOption(addGroupOptions(yargs))
      .positional("key", {
        type: "string",
        describe:
          "its public key (`weft keygen` there), or as - the line it joined with before, from standard input",
      })
      .option("name", { type: "string", describe: "its name in the network" })
      .option("may-issue", { type: "boolean", describe: "it may sign others in (`weft invite`)" })
      .option("key-file", KEY_FILE_OPTION),
  async run(context) {
    const { terminal, args } = context;
    const selection = selectNetwork(terminal, args, textArg(context, "network"));
    const sources = configSources(terminal, args, selection);
    const config = loadConfig(sources);
    const suite = await loadSuite();
    const authority = authorityPair(context, suite, { config, selection });
    const member = memberIn(context, subjectOf(await keyText(context)));
    const signed = signMember(suite, authority, config, member);
    const facts = shutOutFacts(signed);
    const secret = Buffer.from(config.networkKey).toString("base64");
    const grant = { kind: "certificate", certificate: toHex(signed) } as const;
    const token = encodeToken({
      name: config.name,
      secret,
      values: tokenValues(sources, config, pushedFor(suite, config)),
      grant,
    });
    print(terminal, outputOptions(args), { token, ...facts }, () => `weft join ${token}\n`);
    sayShutOut(terminal, args, facts);
    return EXIT.ok;
  },
};

/** @throws WeftError usage | token-invalid */
function subjectOf(text: string): Subject {
  const publicKey = parseAuthorityKey(text);
  if (publicKey !== undefined) return { publicKey, before: undefined };
  if (!/\bweft\d+\./.test(text)) {
    throw new WeftError(
      "usage",
      "the key is none: copy what `weft keygen` printed there, 44 characters",
    );
  }
  const { grant } = decodeToken(text);
  const bytes = grant?.kind === "certificate" ? fromHex(grant.certificate) : undefined;
  const chain = bytes && parseChain(bytes);
  if (chain?.ok !== true) {
    throw new WeftError("usage", "the token is not one that `weft sign` made: give the public key");
  }
  const { certificate } = chain.value.leaf;
  return { publicKey: certificate.publicKey, before: certificate };
}

/** Arguments are seen by every user: a token, with the network key in it, is better read from a pipe. */
async function keyText(context: CommandContext): Promise<string> {
  const { terminal } = context;
  const given = textArg(context, "key");
  // yargs makes "-" an empty text.
  if (given !== undefined && given !== "") return given;
  if (terminal.inIsTty) terminal.err("paste the public key, or the line it joined with: ");
  return (await terminal.readLine(MAX_TOKEN_CHARS)).trim();
}

/** What is not said anew is as it was. */
function memberIn(context: CommandContext, { publicKey, before }: Subject): NewMember {
  const name = textArg(context, "name") ?? before?.name;
  if (name === undefined || !isValidName(name)) {
    throw new WeftError("usage", "--name: give the member a name of 1 to 63 of a-z 0-9 and -");
  }
  const said = saidIn(context);
  const isGiven = (option: string): boolean => textArg(context, option) !== undefined;
  return {
    publicKey,
    salt: before?.salt,
    name,
    groups: isGiven("groups") ? said.groups : (before?.groups ?? []),
    claims: isGiven("claims") ? said.claims : (before?.claims ?? []),
    mayIssue: flagArg(context, "may-issue") || before?.mayIssue === true,
    days: daysIn(context),
  };
}
