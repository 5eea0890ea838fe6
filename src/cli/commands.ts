/** Every verb, in the order of `weft --help`. */
import type { Command } from "./command.ts";
import { aclCommand } from "./commands/acl.ts";
import { createCompletionCommand } from "./commands/completion.ts";
import { configCommand } from "./commands/config.ts";
import { dhtCommand } from "./commands/dht.ts";
import { downCommand, leaveCommand } from "./commands/down.ts";
import { explainCommand } from "./commands/explain.ts";
import { initCommand } from "./commands/init.ts";
import { inviteCommand } from "./commands/invite.ts";
import { ipCommand } from "./commands/ip.ts";
import { joinCommand } from "./commands/join.ts";
import { journalCommand } from "./commands/journal.ts";
import { keygenCommand } from "./commands/keygen.ts";
import { leaseCommand } from "./commands/lease.ts";
import { membersCommand } from "./commands/members.ts";
import { netcheckCommand } from "./commands/netcheck.ts";
import { peersCommand } from "./commands/peers.ts";
import { pingCommand } from "./commands/ping.ts";
import { revokeCommand } from "./commands/revoke.ts";
import { ringCommand } from "./commands/ring.ts";
import { signCommand } from "./commands/sign.ts";
import { statusCommand } from "./commands/status.ts";
import { upCommand } from "./commands/up.ts";
import { versionCommand } from "./commands/version.ts";
import { waitCommand } from "./commands/wait.ts";

export const COMMANDS: readonly Command[] = [
  initCommand,
  upCommand,
  keygenCommand,
  signCommand,
  inviteCommand,
  joinCommand,
  membersCommand,
  revokeCommand,
  downCommand,
  leaveCommand,
  statusCommand,
  peersCommand,
  pingCommand,
  netcheckCommand,
  explainCommand,
  ipCommand,
  leaseCommand,
  ringCommand,
  dhtCommand,
  journalCommand,
  waitCommand,
  aclCommand,
  configCommand,
  createCompletionCommand(() => COMMANDS),
  versionCommand,
];
