/** Turns the file's bootstrap list into endpoints; names are looked up again and again. */
import { lookup } from "node:dns/promises";
import { type Endpoint, parseIp } from "../base/net.ts";
import type { HostPort } from "./config-schema.ts";
import { messageOf, systemCodeOf } from "./errors.ts";

/** A name may stand for a round robin of members. */
const MAX_ADDRESSES = 8;

export type Resolver = (host: string) => Promise<readonly string[]>;

/** The system's resolver: /etc/hosts first, like every other program. */
export const systemResolver: Resolver = async (host) => {
  const found = await lookup(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
};

export interface Resolved {
  readonly endpoints: readonly Endpoint[];
  /** One line for each name that has no address now. */
  readonly problems: readonly string[];
}

export async function resolveBootstrap(
  list: readonly HostPort[],
  resolver: Resolver,
): Promise<Resolved> {
  const answers = await Promise.all(list.map((item) => resolveOne(item, resolver)));
  return {
    endpoints: answers.flatMap((answer) => answer.endpoints),
    problems: answers.flatMap((answer) => answer.problems),
  };
}

async function resolveOne({ host, port }: HostPort, resolver: Resolver): Promise<Resolved> {
  const literal = parseIp(host);
  if (literal !== undefined) return { endpoints: [{ ip: literal, port }], problems: [] };
  try {
    const ips = (await resolver(host))
      .map((text) => parseIp(text))
      .filter((ip) => ip !== undefined);
    return { endpoints: ips.slice(0, MAX_ADDRESSES).map((ip) => ({ ip, port })), problems: [] };
  } catch (error) {
    const why = systemCodeOf(error) ?? messageOf(error);
    return {
      endpoints: [],
      problems: [
        `bootstrap name ${host} has no address (${why}): check its spelling and this machine's DNS`,
      ],
    };
  }
}
