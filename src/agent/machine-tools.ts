/** The agent's tools on a real machine: native engine, node, clock, randomness, resolver. */
import sodium from "libsodium-wrappers";
import { createSodiumSuite } from "../crypto/sodium-suite.ts";
import { HostBridge } from "../io/bridge.ts";
import { boottimeNow } from "../io/clock.ts";
import { EngineOpenError, type OpenErrorCode, openNativeEngine } from "../io/engine.ts";
import { defaultGateway } from "../io/gateway.ts";
import { HostInterface } from "../io/interface.ts";
import { openLanSocket } from "../io/lan-socket.ts";
import { watchNetwork } from "../io/network-watch.ts";
import { OsRng } from "../io/os-rng.ts";
import { Node } from "../node/node.ts";
import type { AgentTools, EngineRequest, OpenedEngine } from "./agent-tools.ts";
import { systemResolver } from "./bootstrap-names.ts";
import type { BridgeTools } from "./bridged-site.ts";
import type { Config } from "./config.ts";
import { type ErrorCode, messageOf, WeftError } from "./errors.ts";
import { createLog } from "./log.ts";
import { drawBoot, kernelHasIpv6, processorHasAes } from "./machine-facts.ts";
import { mappingClients } from "./mapping-clients.ts";
import { steadyAddresses } from "./steady-addresses.ts";
import { hostAddresses } from "./underlay.ts";
import { packageVersion } from "./version.ts";

export async function machineTools(config: Config): Promise<AgentTools> {
  await sodium.ready;
  const suite = createSodiumSuite(sodium);
  const rng = new OsRng();
  const log = createLog(config.log, config.nodeName);
  return {
    suite,
    rng,
    log,
    version: packageVersion(),
    hasAes: processorHasAes(),
    hasIpv6: kernelHasIpv6(),
    now: boottimeNow,
    wallMs: () => Date.now(),
    drawBoot,
    openEngine,
    createNode: (nodeConfig) => new Node(nodeConfig, { suite, rng }),
    hostInterface: new HostInterface(config.interfaceName),
    ...(config.bridge === undefined ? {} : { bridge: bridgeTools(config.bridge) }),
    hostAddresses: steadyAddresses(hostAddresses, log),
    openLanSocket,
    mappingClients: mappingClients(rng),
    defaultGateway,
    // Few use it: it is loaded only then.
    openMainline: async (options) => {
      const { MainlineDht } = await import("../io/mainline-dht.ts");
      return new MainlineDht(options);
    },
    watchNetwork,
    resolver: systemResolver,
  };
}

function bridgeTools(name: string): BridgeTools {
  return { port: new HostBridge(name), own: new HostInterface(name) };
}

const CODES: Readonly<Record<OpenErrorCode, ErrorCode>> = {
  "no-addon": "no-engine",
  "no-tun-device": "no-tun-device",
  "no-capability": "no-capability",
  "port-busy": "port-busy",
  "tap-busy": "tap-busy",
  "no-crypto": "no-crypto",
  "bad-option": "bad-option",
  system: "engine-failed",
};

const CURES: Readonly<Record<Exclude<OpenErrorCode, "no-addon">, string>> = {
  "no-tun-device": "load the module (modprobe tun), or give the container --device /dev/net/tun",
  "no-capability": "run as root, or give CAP_NET_ADMIN (containers: --cap-add NET_ADMIN)",
  "port-busy": "set another port with listen:, or stop the program that holds it (ss -ulpn)",
  "tap-busy": "stop the program that holds the interface, or set another name with interface:",
  "no-crypto": "install OpenSSL 3 (libcrypto.so.3)",
  "bad-option": "correct the key that it names",
  system: "correct what it names",
};

/** A starter that is root opens the device and leaves its number here (docker/weft-start). */
function deviceFromStarter(): { readonly deviceFd?: number } {
  const given = process.env["WEFT_TUN_FD"] ?? "";
  return /^\d{1,4}$/.test(given) ? { deviceFd: Number(given) } : {};
}

function openEngine(request: EngineRequest): OpenedEngine {
  try {
    const tap = { ...request.tap, ...deviceFromStarter(), persistent: true };
    const engine = openNativeEngine({
      sockets: request.sockets,
      tap,
      mac1Key: request.mac1Key,
      bencode: request.bencode,
    });
    engine.onUpcalls(request.onUpcalls);
    return { engine, endpoints: engine.boundEndpoints };
  } catch (error) {
    if (!(error instanceof EngineOpenError))
      throw new WeftError(
        "engine-failed",
        `the engine cannot be opened (${messageOf(error)}): this is a bug in weft`,
      );
    const code = CODES[error.code];
    // The addon's loader names the cure itself.
    const cure = error.code === "no-addon" ? "" : `: ${CURES[error.code]}`;
    throw new WeftError(code, `${error.detail}${cure}`);
  }
}
