/**
 * What `weft revoke` needs for a member that nobody is linked to, such as a lost laptop that is off: said
 * where a certificate is made or put into place. It goes to standard error, for standard output is the token.
 */
import { authorityKeyText } from "../agent/authority-key.ts";
import { parseChain } from "../crypto/certificate-chain.ts";
import { type GlobalArgs, outputOptions } from "./options.ts";
import type { Terminal } from "./terminal.ts";

export interface ShutOutFacts {
  readonly name: string;
  /** base64, as `weft keygen` prints it */
  readonly publicKey: string;
  /** 16 hex digits */
  readonly serial: string;
}

/** undefined: the bytes are no certificate */
export function shutOutFacts(bytes: Uint8Array): ShutOutFacts | undefined {
  const chain = parseChain(bytes);
  if (!chain.ok) return undefined;
  const { name, publicKey, serial } = chain.value.leaf.certificate;
  return {
    name,
    publicKey: authorityKeyText(publicKey),
    serial: serial.toString(16).padStart(16, "0"),
  };
}

/** For people alone: programs have it in the data. */
export function sayShutOut(
  terminal: Terminal,
  args: GlobalArgs,
  facts: ShutOutFacts | undefined,
): void {
  if (facts === undefined) return;
  const { name, publicKey, serial } = facts;
  sayToPeople(
    terminal,
    args,
    `${name} has public key ${publicKey}, serial number ${serial}: note them, weft revoke takes either`,
  );
}

/** Of an invite: the key is the newcomer's own, the serial number of its certificate is the invite's. */
export function sayInvited(
  terminal: Terminal,
  args: GlobalArgs,
  { name, serial }: Pick<ShutOutFacts, "name" | "serial">,
): void {
  sayToPeople(
    terminal,
    args,
    `${name} gets serial number ${serial}: note it, weft revoke takes it, before and after the invite is used`,
  );
}

function sayToPeople(terminal: Terminal, args: GlobalArgs, line: string): void {
  const { format } = outputOptions(args);
  if (format === "table" || format === "wide") terminal.err(`${line}\n`);
}
