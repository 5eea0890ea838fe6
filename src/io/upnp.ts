/** Port mapping by UPnP-IGD: each errand runs in a thread that is ended when it takes too long. */
import { Worker } from "node:worker_threads";
import type { Ip } from "../base/net.ts";

export interface UpnpErrand {
  readonly action: "map" | "unmap";
  readonly gateway: Ip;
  /** Own address on the gateway's network. */
  readonly insideIp: Ip;
  readonly insidePort: number;
  readonly outsidePort: number;
  readonly lifeSeconds: number;
}

export type UpnpResult =
  /** `ip` as the gateway said it: it may be anything. */
  | { readonly ok: true; readonly ip: string; readonly port: number }
  | { readonly ok: false; readonly reason: string };

/** Gateways answer the search within two seconds and are asked three things. */
const ERRAND_MS = 8_000;
/** Enough for the package; a document without end ends the thread, not the agent. */
const HEAP_MB = 64;

/**
 * Whether a description is the gateway's own: anybody on the LAN may answer the search, and could
 * have us ask whatever he names, this machine's own services too.
 */
export function isAtGateway(url: string, gateway: Ip): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && hostname === gateway;
}

export function runUpnpErrand(errand: UpnpErrand): Promise<UpnpResult> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL("./upnp-worker.js", import.meta.url), {
      workerData: errand,
      env: {},
      execArgv: [],
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    const end = (result: UpnpResult): void => {
      clearTimeout(timer);
      resolve(result);
      void worker.terminate();
    };
    const timer = setTimeout(() => end({ ok: false, reason: "no answer" }), ERRAND_MS);
    worker.once("message", (result: UpnpResult) => end(result));
    worker.once("error", (error) => end({ ok: false, reason: error.message }));
    worker.once("exit", () => end({ ok: false, reason: "the search ended early" }));
  });
}
