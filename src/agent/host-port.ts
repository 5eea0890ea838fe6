/** Hosts with ports as people write them, and the refusal that every parser of a value answers with. */
import { parseIp } from "../base/net.ts";

export const DEFAULT_PORT = 7117;

/** A host name or address with a UDP port, not resolved yet. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A parser's refusal: cause and cure in one line, without the key's name. */
export class Refusal {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What was written, cut short: it may be anything. */
export function quote(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

/** `host`, `host:port`, `1.2.3.4:port`, `[2001:db8::1]:port`. */
export function parseHostPort(text: string, usualPort = DEFAULT_PORT): HostPort | Refusal {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = match?.[1] === undefined ? match?.[2] : parseIp(match[1]);
  const port = match?.[3] === undefined ? usualPort : parsePort(match[3], 1);
  if (host === undefined || port === undefined || !isHost(host)) {
    return new Refusal(
      `${quote(text)} is no host:port: write 192.0.2.1:${usualPort}, [2001:db8::1]:${usualPort} or a name`,
    );
  }
  return { host, port };
}

/** The inverse of `parseHostPort`. */
export function hostPortText({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export function parsePort(text: string, least: number): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  return port >= least && port <= 65_535 ? port : undefined;
}

export function isHost(host: string): boolean {
  return parseIp(host) !== undefined || isHostName(host);
}

/** Letters, digits, hyphens and, as some sites use them, underscores; never a mistyped address. */
export function isHostName(host: string): boolean {
  if (/^[0-9.]+$/.test(host)) return false;
  return host.length <= 253 && /^[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*\.?$/.test(host);
}
