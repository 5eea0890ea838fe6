/** The proxy as the node is told: its address, and the members that are asked without it. */
import type { ProxyRoute } from "../link/stream-fallback.ts";
import type { BootstrapEntry } from "./bootstrap-entry.ts";
import { type Resolver, resolveBootstrap, resolveHosts } from "./bootstrap-names.ts";
import { isNameExempt, type NoProxy } from "./no-proxy.ts";
import type { ProxySetting } from "./proxy-setting.ts";

export interface ResolvedProxy {
  /** Undefined while the proxy's name has no address. */
  readonly route: ProxyRoute | undefined;
  readonly problems: readonly string[];
}

/** Names of `bootstrap` that NO_PROXY lists stand for the addresses they have now. */
export async function resolveProxy(
  { host, authorization, noProxy }: ProxySetting,
  bootstrap: readonly BootstrapEntry[],
  resolver: Resolver,
): Promise<ResolvedProxy> {
  const exemptNames = bootstrap.filter((entry) => isEntryExempt(entry, noProxy));
  const [proxies, members] = await Promise.all([
    resolveHosts([host], resolver, "proxy"),
    resolveBootstrap(exemptNames, resolver),
  ]);
  const endpoint = proxies.endpoints[0];
  if (endpoint === undefined) return { route: undefined, problems: proxies.problems };
  const proxy = authorization === undefined ? { endpoint } : { endpoint, authorization };
  const exempt = [
    ...noProxy.networks,
    ...members.endpoints.map(({ ip }) => ({ ip, prefix: ip.includes(":") ? 128 : 32 })),
  ];
  return { route: { proxy, exempt }, problems: proxies.problems };
}

function isEntryExempt(entry: BootstrapEntry, noProxy: NoProxy): boolean {
  if (entry.kind === "host") return isNameExempt(noProxy, entry.host);
  return entry.kind === "dns" && isNameExempt(noProxy, entry.name);
}
