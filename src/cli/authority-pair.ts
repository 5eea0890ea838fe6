import { resolve } from "node:path";
import { authorityFile, readAuthority } from "../agent/authority-file.ts";
import type { Config } from "../agent/config.ts";
import { WeftError } from "../agent/errors.ts";
import { equalBytes } from "../base/bytes.ts";
import type { CryptoSuite, KeyPair } from "../crypto/suite.ts";
import { type CommandContext, textArg } from "./command.ts";
import type { Selection } from "./options.ts";

/** For every verb that signs. */
export const KEY_FILE_OPTION = {
  type: "string",
  describe: "the authority's private key (default: NAME.authority beside the cluster file)",
} as const;

/**
 * The authority's key pair, out of `--key-file` or from beside the cluster file.
 *
 * @throws WeftError usage: no authority mode, or another authority's key; not-found | key-file-open | ...
 */
export function authorityPair(
  context: CommandContext,
  suite: CryptoSuite,
  about: { readonly config: Config; readonly selection: Selection },
): KeyPair {
  const { config, selection } = about;
  if (config.authority === undefined) {
    throw new WeftError(
      "usage",
      `${config.name} has no authority: whoever holds its file is a member; weft init --authority makes one that has`,
    );
  }
  const place = textArg(context, "key-file");
  const path =
    place === undefined
      ? authorityFile(selection.folders, selection.network)
      : resolve(context.terminal.cwd, place);
  const pair = suite.signingKeyPair(readAuthority(path));
  if (equalBytes(pair.publicKey, config.authority)) return pair;
  throw new WeftError(
    "usage",
    `${path} is the key of another authority than the one in the cluster file: name the right one with --key-file`,
  );
}
