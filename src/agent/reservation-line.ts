import { isMap, isScalar, parseDocument, YAMLMap } from "yaml";
import type { Ip } from "../base/net.ts";
import { Refusal } from "./host-port.ts";
import { parseReservedBy, reservedByText } from "./reservations.ts";

/**
 * The cluster file with this reservation in place of any other of the same machine. Everything else
 * stays, comments too; only blanks between tokens become one.
 *
 * @param text a file that was read without problems
 * @param who as `reservedByText` says it
 */
export function withReservation(text: string, who: string, ip: Ip): string {
  const document = parseDocument(text);
  const present = document.get("reservations");
  const map = isMap(present) ? present : new YAMLMap();
  if (map !== present) document.set("reservations", map);
  const known = map.items.find(({ key }) => sameMachine(isScalar(key) ? key.value : key, who));
  if (known === undefined) map.set(who, ip);
  else known.value = document.createNode(ip);
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

/** However it is spelt. */
function sameMachine(written: unknown, who: string): boolean {
  const by = parseReservedBy(String(written));
  return !(by instanceof Refusal) && reservedByText(by) === who;
}
