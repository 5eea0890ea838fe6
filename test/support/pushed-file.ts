/** A state folder that the authority pushed a shared part to. */
import { mkdirSync, writeFileSync } from "node:fs";
import { emitNotices, noticeFile } from "../../src/agent/notice-file.ts";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { signNotice } from "../../src/crypto/notice-board.ts";
import type { KeyPair } from "../../src/crypto/suite.ts";
import { suite } from "./suite.ts";

export interface Push {
  readonly networkKey: Uint8Array;
  /** Who signs it. */
  readonly authority: KeyPair;
  readonly body: Uint8Array;
  /** 3, if not said */
  readonly number?: number;
}

/** @param folder the network's own, below the state folder */
export function writePushedFile(folder: string, push: Push): void {
  const { networkId } = deriveClusterKeys(suite, push.networkKey);
  const { number = 3, body } = push;
  const notice = signNotice(suite, push.authority, { kind: "shared", number, networkId, body });
  mkdirSync(folder, { recursive: true });
  writeFileSync(noticeFile(folder), emitNotices([notice]));
}
