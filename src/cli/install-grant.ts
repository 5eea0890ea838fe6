/** Puts the certificate that a token brings, or buys, into the state folder of this machine. */
import { resolveBootstrap, systemResolver } from "../agent/bootstrap-names.ts";
import {
  isInDate,
  readCertificates,
  wearable,
  writeCertificates,
} from "../agent/certificate-file.ts";
import type { Config } from "../agent/config.ts";
import { WeftError } from "../agent/errors.ts";
import { loadIdentity, prepareFolder } from "../agent/identity-file.ts";
import type { Grant, InviteGrant } from "../agent/join-grant.ts";
import { redeemInvite } from "../agent/redeem-invite.ts";
import { fromHex } from "../base/bytes.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { askByDatagram } from "../io/datagram-question.ts";
import { loadSuite } from "./load-suite.ts";
import { agentFolder } from "./options.ts";
import { refuseInterrupted } from "./repeat.ts";
import type { Terminal } from "./terminal.ts";

/**
 * @returns the certificate
 * @throws WeftError already-joined | certificate-foreign | invite-ended | invite-refused | no-issuer, or
 * what the state folder gives
 */
export async function installGrant(
  terminal: Terminal,
  config: Config,
  grant: Grant,
): Promise<Uint8Array> {
  const suite = await loadSuite();
  const folder = agentFolder(config);
  prepareFolder(folder);
  const seed = loadIdentity(folder);
  if (grant.kind === "certificate") {
    const bytes = fromHex(grant.certificate) ?? new Uint8Array(0);
    refuseForeign(suite, config, seed, bytes);
    writeCertificates(folder, [bytes]);
    return bytes;
  }
  const wallSeconds = Math.floor(Date.now() / 1_000);
  const isMember = readCertificates(folder).some(
    (one) => wearable(suite, config, seed, one) !== undefined && isInDate(one, wallSeconds),
  );
  if (isMember) {
    throw new WeftError(
      "already-joined",
      `this machine has a certificate of ${config.name} already: start it with \`weft up ${config.name}\``,
    );
  }
  const bytes = await redeem(terminal, { suite, config, seed, invite: grant });
  writeCertificates(folder, [bytes]);
  return bytes;
}

function refuseForeign(
  suite: CryptoSuite,
  config: Config,
  seed: Uint8Array,
  bytes: Uint8Array,
): void {
  if (wearable(suite, config, seed, bytes) !== undefined) return;
  throw new WeftError(
    "certificate-foreign",
    `the token is for another machine's key: have the one signed that \`weft keygen ${config.name}\` prints here`,
  );
}

async function redeem(
  terminal: Terminal,
  asked: {
    readonly suite: CryptoSuite;
    readonly config: Config;
    readonly seed: Uint8Array;
    readonly invite: InviteGrant;
  },
): Promise<Uint8Array> {
  const { interrupted } = terminal;
  const { endpoints } = await resolveBootstrap(asked.config.bootstrap, systemResolver);
  const wallSeconds = Math.floor(Date.now() / 1_000);
  try {
    return await redeemInvite({ ...asked, to: endpoints, wallSeconds }, (question) =>
      askByDatagram({ ...question, interrupted }),
    );
  } catch (error) {
    refuseInterrupted(interrupted);
    throw error;
  }
}
