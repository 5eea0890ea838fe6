/**
 * `proxy:` of the cluster file, `http://[user:password@]host[:port]`, and its counterparts in the
 * environment. What was written is never quoted: it may hold a password.
 */
import { ENGINE_LIMITS } from "../base/engine.ts";
import { type HostPort, hostPortText, parseHostPort, Refusal } from "./host-port.ts";
import { type NoProxy, parseNoProxy } from "./no-proxy.ts";
import type { Env } from "./paths.ts";

export interface ProxyAddress {
  readonly host: HostPort;
  /** The whole value of Proxy-Authorization. Never printed. */
  readonly authorization: string | undefined;
}

export interface ProxySetting extends ProxyAddress {
  readonly noProxy: NoProxy;
}

export type ProxyKey = "auto" | "off" | ProxyAddress;

/** The port of http URLs. */
const HTTP_PORT = 80;
/** As other programs read them; the lower case wins. */
const PROXY_VARIABLES = ["https_proxy", "HTTPS_PROXY"] as const;

export function parseProxy(text: string): ProxyKey | Refusal {
  return text === "auto" || text === "off" ? text : parseAddress(text);
}

/** As the file would say it, without user and password. */
export function proxyText({ host, authorization }: ProxyAddress): string {
  return `http://${authorization === undefined ? "" : "(hidden)@"}${hostPortText(host)}`;
}

export interface ChosenProxy {
  readonly setting: ProxySetting | undefined;
  /** The variable that says so; undefined = the key itself. */
  readonly variable: string | undefined;
  /** Why the variable does not count: it was meant for other programs as well. */
  readonly warning: string | undefined;
}

/** What the key and the environment come to together. */
export function chooseProxy(key: ProxyKey, env: Env): ChosenProxy {
  const nothing = { setting: undefined, variable: undefined, warning: undefined };
  if (key === "off") return nothing;
  const noProxy = parseNoProxy(env["no_proxy"] ?? env["NO_PROXY"] ?? "");
  if (key !== "auto") return { ...nothing, setting: { ...key, noProxy } };
  const variable = PROXY_VARIABLES.find((name) => (env[name] ?? "") !== "");
  if (variable === undefined) return nothing;
  // `host:port` without scheme is common there.
  const text = env[variable] ?? "";
  const address = parseAddress(text.includes("://") ? text : `http://${text}`);
  if (!(address instanceof Refusal)) {
    return { setting: { ...address, noProxy }, variable, warning: undefined };
  }
  return { ...nothing, warning: `${variable} ${address.text}, or set proxy: off` };
}

function parseAddress(text: string): ProxyAddress | Refusal {
  const match = /^http:\/\/(?:([^/?#]*)@)?([^/?#@]+)\/?$/i.exec(text);
  const host = match?.[2] === undefined ? undefined : parseHostPort(match[2], HTTP_PORT);
  if (match === null || host === undefined || host instanceof Refusal) {
    return new Refusal(
      "is no proxy of HTTP: write http://host:port or http://user:password@host:port",
    );
  }
  if (match[1] === undefined) return { host, authorization: undefined };
  const authorization = basicAuthorization(match[1]);
  if (authorization !== undefined) return { host, authorization };
  return new Refusal(
    "has a user or password that cannot be used: write special characters as %XX, 370 bytes at most",
  );
}

/** RFC 7617; undefined when the escapes are broken or the whole is too long. */
function basicAuthorization(userinfo: string): string | undefined {
  const [user = "", ...password] = userinfo.split(":");
  try {
    const plain = `${decodeURIComponent(user)}:${decodeURIComponent(password.join(":"))}`;
    const value = `Basic ${Buffer.from(plain, "utf8").toString("base64")}`;
    return value.length <= ENGINE_LIMITS.proxyAuthorizationChars ? value : undefined;
  } catch {
    return undefined;
  }
}
