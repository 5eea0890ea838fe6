/** Signs the next notice with the authority's key, onto what the running agent has, and hands it in. */
import { z } from "zod";
import type { Config } from "../agent/config.ts";
import { callAgent } from "../agent/control-client.ts";
import { WeftError } from "../agent/errors.ts";
import { deriveClusterKeys } from "../crypto/cluster-keys.ts";
import { NoticeBoard, signNotice } from "../crypto/notice-board.ts";
import type { CryptoSuite, KeyPair } from "../crypto/suite.ts";
import { MAX_NOTICE_NUMBER, type NoticeKind } from "../wire/notice.ts";

const noticesShape = z.looseObject({ notices: z.array(z.base64url()) });
const postedShape = z.looseObject({ notice: z.string(), number: z.number() });

export class NoticeDesk {
  readonly #suite: CryptoSuite;
  readonly #networkId: Uint8Array;
  readonly board: NoticeBoard;

  constructor(suite: CryptoSuite, config: Pick<Config, "networkKey" | "authority">) {
    const keys = deriveClusterKeys(suite, config.networkKey, config.authority);
    this.#suite = suite;
    this.#networkId = keys.networkId;
    this.board = new NoticeBoard(suite, keys);
  }

  /** @throws WeftError of the agent, or that there is none */
  async readAgent(socket: string): Promise<void> {
    const { notices } = noticesShape.parse(await callAgent(socket, "notices"));
    for (const word of notices) this.readWord(word);
  }

  /** @throws WeftError notice-refused */
  readWord(word: string): void {
    const posting = this.board.post(new Uint8Array(Buffer.from(word.trim(), "base64url")));
    if (posting.outcome !== "bad") return;
    throw new WeftError(
      "notice-refused",
      `that is no word of this network's authority (${posting.reason}): copy the whole word`,
    );
  }

  /** The newest of a kind as a word; undefined when there is none. */
  word(kind: NoticeKind): string | undefined {
    const bytes = this.board.bytes(kind);
    return bytes && Buffer.from(bytes).toString("base64url");
  }

  /** The next one of its kind hangs on the board afterwards. @throws WeftError usage */
  sign(authority: KeyPair, kind: NoticeKind, body: Uint8Array): number {
    const number = this.board.number(kind) + 1;
    if (number > MAX_NOTICE_NUMBER) {
      throw new WeftError("usage", "no higher number is left: begin a network with another key");
    }
    const networkId = this.#networkId;
    this.board.post(signNotice(this.#suite, authority, { kind, number, networkId, body }));
    return number;
  }

  /** Gives the newest of a kind to the agent, which tells every member. @throws WeftError */
  async post(socket: string, kind: NoticeKind): Promise<number> {
    const notice = this.word(kind) ?? "";
    return postedShape.parse(await callAgent(socket, "post-notice", { params: { notice } })).number;
  }
}
