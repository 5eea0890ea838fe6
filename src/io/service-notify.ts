/** Words to the service manager, sd_notify(3): a datagram each, through the addon. */
import { loadAddon } from "./engine.ts";

/** Lines `NAME=value`. @returns false when nobody takes it there */
export function notifyService(socket: string, text: string): boolean {
  return loadAddon().notifyService({ socket, text }) === 0;
}
