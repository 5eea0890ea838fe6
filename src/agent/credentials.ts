/** What authority mode keeps in the state folder of a running agent: its certificate and its invites. */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { equalBytes, fromHex } from "../base/bytes.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { NodeCommand, NodeReply } from "../node/command.ts";
import type { NodeConfig } from "../node/config.ts";
import type { Invite } from "../node/invites.ts";
import {
  certificateFile,
  loadCertificate,
  readCertificates,
  type Wearable,
  wearable,
  writeCertificates,
} from "./certificate-file.ts";
import type { Config } from "./config.ts";
import { messageOf, systemCodeOf, WeftError } from "./errors.ts";
import { identityFile, replaceIdentity, SEED_BYTES } from "./identity-file.ts";
import { invitesFile, loadInvites, saveInvites } from "./invites-file.ts";

type Ask = (command: NodeCommand) => Promise<Exclude<NodeReply, { kind: "failed" }>>;

export class Credentials {
  readonly #suite: CryptoSuite;
  readonly #config: Config;
  readonly #folder: string;
  readonly #onTrouble: (line: string | undefined) => void;
  #worn: Wearable | undefined;

  /** @param onTrouble a line for status while a file cannot be written; undefined: it can again */
  constructor(
    place: { readonly suite: CryptoSuite; readonly config: Config; readonly folder: string },
    onTrouble: (line: string | undefined) => void,
  ) {
    this.#suite = place.suite;
    this.#config = place.config;
    this.#folder = place.folder;
    this.#onTrouble = onTrouble;
  }

  /**
   * What the node is told of them; nothing in \`secret:\` mode.
   *
   * @throws WeftError no-certificate | certificate-foreign | certificate-damaged | state-unwritable
   */
  load(seed: Uint8Array): Pick<NodeConfig, "certificate" | "invites"> & { readonly name?: string } {
    const worn = loadCertificate(this.#suite, this.#config, this.#folder, seed);
    this.#worn = worn;
    if (worn === undefined) return {};
    const { invites, movedTo } = loadInvites(this.#folder);
    if (movedTo !== undefined) {
      this.#onTrouble(`the file of invites was damaged and is now ${movedTo}: make new invites`);
    }
    return { certificate: worn.bytes, name: worn.name, invites };
  }

  /** The node waits for the outcome before it tells anybody. */
  keepInvites(invites: readonly Invite[]): boolean {
    return this.#write(invitesFile(this.#folder), () => saveInvites(this.#folder, invites));
  }

  /** What another hand stored meanwhile, for another key or by another word, waits for the next start. */
  wear(certificate: Uint8Array): void {
    const worn = this.#worn?.bytes;
    const isKept = this.#write(certificateFile(this.#folder), () => {
      const stored = readCertificates(this.#folder);
      const others = stored.filter((one) => worn === undefined || !equalBytes(one, worn));
      writeCertificates(this.#folder, [...others.slice(0, 1), certificate]);
    });
    if (isKept && this.#worn !== undefined) this.#worn = { ...this.#worn, bytes: certificate };
  }

  /**
   * Has another key of this node signed and stored; it counts from the next start on.
   *
   * @returns the new public key's certificate
   * @throws WeftError
   */
  async rotate(ask: Ask): Promise<void> {
    const seed = new Uint8Array(randomBytes(SEED_BYTES));
    const reply = await ask({ name: "rotate", seed });
    const bytes = reply.kind === "certificate" ? fromHex(reply.certificate) : undefined;
    if (bytes === undefined || wearable(this.#suite, this.#config, seed, bytes) === undefined) {
      throw new WeftError(
        "unavailable",
        "the issuer gave no certificate for the new key: try again",
      );
    }
    // In this order: after a crash in between the old key still has its certificate.
    const old = this.#worn === undefined ? [] : [this.#worn.bytes];
    writeCertificates(this.#folder, [bytes, ...old]);
    replaceIdentity(identityFile(this.#folder), seed);
  }

  forget(): void {
    for (const path of [certificateFile(this.#folder), invitesFile(this.#folder)]) {
      rmSync(path, { force: true });
    }
  }

  #write(path: string, write: () => void): boolean {
    try {
      write();
      this.#onTrouble(undefined);
      return true;
    } catch (error) {
      const why =
        error instanceof WeftError
          ? error.message
          : `${path} cannot be written (${systemCodeOf(error) ?? messageOf(error)}): free space or correct its owner`;
      this.#onTrouble(why);
      return false;
    }
  }
}
