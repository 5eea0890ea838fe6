import type { EngineCommand } from "../base/engine.ts";
import type { Millis } from "../base/time.ts";
import type { LinkTable } from "./link-table.ts";
import type { Relays } from "./relays.ts";

/** Does what the relay circuits ask of engine and links. @returns whether they asked anything */
export function actOnRelays(
  now: Millis,
  relays: Relays,
  links: LinkTable,
  engine: (command: EngineCommand) => void,
): boolean {
  let isBusy = false;
  for (let out = relays.poll(); out !== undefined; out = relays.poll()) {
    isBusy = true;
    switch (out.kind) {
      case "engine":
        engine(out.command);
        break;
      case "send":
        links.use(out.link)?.sendLink(now, out.message);
        break;
      case "opened": {
        const { peer, via, viaAddress, label } = out.end;
        links.useAddress(peer)?.addRelay(now, via, viaAddress, label);
        break;
      }
      case "closed":
        links.useAddress(out.end.peer)?.removeRelay(now, out.end.via, out.end.label);
        break;
      case "failed":
        links.useAddress(out.peer)?.relayFailed(now);
        break;
    }
  }
  return isBusy;
}
