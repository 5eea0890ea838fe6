/** The line that makes another machine a member: the cluster file and where this member is reached. */
import type { AgentStatus } from "../agent/agent-status.ts";
import { authorityKeyText } from "../agent/authority-key.ts";
import { bootstrapText } from "../agent/bootstrap-entry.ts";
import type { Config, ConfigSources, Pushed } from "../agent/config.ts";
import { KEY_NAMES, KEYS, MAX_BOOTSTRAP } from "../agent/config-schema.ts";
import { ConfigFile, MAX_FILE_BYTES, valuesFromEnv } from "../agent/config-source.ts";
import { readIfThere } from "../agent/durable-file.ts";
import type { Grant } from "../agent/join-grant.ts";
import { type ClusterValues, encodeToken } from "../agent/join-token.ts";
import { isPrivate, parseIp } from "../base/net.ts";

/** A newcomer asks them all: those that cannot be right from where it is only cost it datagrams. */
const MAX_OWN_PLACES = 8;

export interface Invitation {
  readonly token: string;
  /** None of the places can be right for a machine elsewhere. */
  readonly onlyNearby: boolean;
}

/**
 * @param reached.at more places where this member is reached, e.g. a name with a forwarded port
 * @param reached.grant what makes the other machine a member, in a network with an authority
 * @param reached.pushed what the authority of it pushed
 */
export function inviteTo(
  config: Config,
  sources: ConfigSources,
  status: AgentStatus,
  reached: {
    readonly at?: readonly string[];
    readonly grant?: Grant;
    readonly pushed?: Pushed | undefined;
  } = {},
): Invitation {
  const { at = [], pushed } = reached;
  const listed = config.bootstrap.map(bootstrapText);
  const own = ownPlaces(status);
  const bootstrap = [...new Set([...at, ...listed, ...own])].slice(0, MAX_BOOTSTRAP);
  const secret = Buffer.from(config.networkKey).toString("base64");
  const values = { ...tokenValues(sources, config, pushed), bootstrap };
  const token = { name: config.name, secret, values };
  return {
    token: encodeToken(reached.grant === undefined ? token : { ...token, grant: reached.grant }),
    onlyNearby: at.length === 0 && listed.length === 0 && own.every(isNearby),
  };
}

/** The router's port first, then how others see this node, then its own addresses. */
function ownPlaces({ portMapping, nat }: AgentStatus): string[] {
  const mapped = portMapping.state === "mapped" ? [portMapping.external] : [];
  return [...mapped, ...nat.reflexive, ...nat.local].slice(0, MAX_OWN_PLACES);
}

function isNearby(place: string): boolean {
  const ip = parseIp(place.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"));
  return ip === undefined || isPrivate(ip);
}

/** What a token carries: what the authority pushed stands, whole, in place of the file's shared part. */
export function tokenValues(
  sources: ConfigSources,
  config: Pick<Config, "authority">,
  pushed: Pushed | undefined,
): ClusterValues {
  const values = fileValues(sources, config);
  if (pushed === undefined) return values;
  for (const key of KEY_NAMES) if (KEYS[key].shared) delete values[key];
  return { ...values, ...pushed.values };
}

/** As in the file; what all members must have alike, as this member has it. */
export function fileValues(
  { file, env, flags }: ConfigSources,
  { authority }: Pick<Config, "authority">,
): ClusterValues {
  const text = readIfThere(file, MAX_FILE_BYTES)?.toString("utf8") ?? "";
  const values = { ...(new ConfigFile(file, text).values as ClusterValues | undefined) };
  const stronger = { ...valuesFromEnv(env), ...flags };
  for (const key of KEY_NAMES) {
    if (KEYS[key].shared && stronger[key] !== undefined) values[key] = stronger[key];
  }
  return authority === undefined ? values : { ...values, authority: authorityKeyText(authority) };
}
