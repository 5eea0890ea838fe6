import type { PathTarget, Upcall } from "../base/engine.ts";
import { sameEndpoint } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import type { LinkTable } from "./link-table.ts";

/**
 * The kernel refused a datagram as larger than the link below: no path that leaves that way carries
 * its size, relay paths through the member at that endpoint included.
 */
export function noteRefusedSize(
  now: Millis,
  links: LinkTable,
  refused: Extract<Upcall, { kind: "size-refused" }>,
): void {
  const { socket, to: endpoint, datagramBytes } = refused;
  const isThere = (to: PathTarget) =>
    to.kind === "direct" && to.socket === socket && sameEndpoint(to.endpoint, endpoint);
  const carriers = new Set(
    links.all().flatMap(({ id, paths }) => (paths.someLeaves(isThere) ? [id] : [])),
  );
  const leavesThere = (to: PathTarget) =>
    to.kind === "direct" ? isThere(to) : carriers.has(to.via);
  for (const link of links.all()) {
    if (!link.paths.someLeaves(leavesThere)) continue;
    links.use(link.id)?.refuseSize(now, datagramBytes, leavesThere);
  }
}
