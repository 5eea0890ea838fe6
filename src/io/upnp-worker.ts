/**
 * One errand to a UPnP gateway, in a thread of its own: the package parses what anybody on the LAN
 * sends, and whatever that does to it, the agent goes on. Started by upnp.ts.
 */
import { parentPort, workerData } from "node:worker_threads";
import UpnpClient from "@silentbot1/nat-api/lib/upnp/index.js";
import { isAtGateway, type UpnpErrand, type UpnpResult } from "./upnp.ts";

/** A port that another machine has (error 718) is the usual obstacle; the next one may be free. */
const PORTS_TRIED = 4;

async function run(errand: UpnpErrand): Promise<UpnpResult> {
  const client = new UpnpClient();
  // Not over the other interfaces, least of all over the virtual network.
  for (const socket of [...client.ssdp.sockets]) {
    if (socket.address !== errand.insideIp) socket.close();
  }
  // One search for all questions: routers do not answer a second one at once.
  const found = await client.findGateway();
  if (!isAtGateway(found.gateway.url, errand.gateway)) {
    throw new Error("another machine than the gateway answered");
  }
  client.findGateway = () => Promise.resolve(found);
  if (errand.action === "unmap") {
    await client.portUnmapping({ ...portsOf(errand, errand.outsidePort), protocol: "UDP" });
    return { ok: true, ip: "", port: errand.outsidePort };
  }
  const ip = String(await client.externalIp());
  return { ok: true, ip, port: await mapSome(client, errand) };
}

async function mapSome(client: UpnpClient, errand: UpnpErrand): Promise<number> {
  for (let i = 0; ; i++) {
    const port = errand.outsidePort + i;
    try {
      const ports = portsOf(errand, port);
      await client.portMapping({
        ...ports,
        protocol: "UDP",
        description: "weft",
        ttl: errand.lifeSeconds,
      });
      return port;
    } catch (error) {
      const isTaken = /conflicts/.test(String(error));
      if (!isTaken || i + 1 >= PORTS_TRIED || port >= 65_535) throw error;
    }
  }
}

function portsOf(errand: UpnpErrand, outsidePort: number) {
  return { public: outsidePort, private: errand.insidePort };
}

try {
  parentPort?.postMessage(await run(workerData as UpnpErrand));
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  parentPort?.postMessage({ ok: false, reason } satisfies UpnpResult);
}
