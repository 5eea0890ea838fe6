/** The agent's tools on a real machine: native engine, node, clock, randomness, resolver. */
import sodium from "libsodium-wrappers";
import { createSodiumSuite } from "../crypto/sodium-suite.ts";
import { monotonicMillis } from "../io/clock.ts";
import { EngineOpenError, openNativeEngine } from "../io/engine.ts";
import { HostInterface } from "../io/interface.ts";
import { OsRng } from "../io/os-rng.ts";
import { Node } from "../node/node.ts";
import type { AgentTools, EngineRequest, OpenedEngine } from "./agent.ts";
import { systemResolver } from "./bootstrap-names.ts";
import type { Config } from "./config.ts";
import { isErrorCode, messageOf, WeftError } from "./errors.ts";
import { createLog } from "./log.ts";
import { drawBoot, kernelHasIpv6, processorHasAes } from "./machine-facts.ts";
import { hostAddresses } from "./underlay.ts";
import { packageVersion } from "./version.ts";

export async function machineTools(config: Config): Promise<AgentTools> {
  await sodium.ready;
  const suite = createSodiumSuite(sodium);
  const rng = new OsRng();
  return {
    suite,
    log: createLog(config.log, config.nodeName),
    version: packageVersion(),
    hasAes: processorHasAes(),
    hasIpv6: kernelHasIpv6(),
    now: monotonicMillis,
    wallMs: () => Date.now(),
    drawBoot,
    openEngine,
    createNode: (nodeConfig) => new Node(nodeConfig, { suite, rng }),
    hostInterface: new HostInterface(config.interfaceName),
    hostAddresses,
    resolver: systemResolver,
  };
}

/** The engine's refusals with the cure for each. */
const CURES: Readonly<Record<string, string>> = {
  "no-tun-device":
    "load the tun module (modprobe tun), or give the container --device /dev/net/tun",
  "no-capability":
    "run as root, or give the program CAP_NET_ADMIN (containers: --cap-add NET_ADMIN)",
  "port-busy": "set another port with listen:, or stop the program that holds it (ss -ulpn)",
  "tap-busy": "stop the program that holds the interface, or set another name with interface:",
  "no-crypto": "install OpenSSL 3 (libcrypto.so.3)",
  "bad-option": "correct the key that it names",
};

function openEngine(request: EngineRequest): OpenedEngine {
  try {
    const engine = openNativeEngine(request);
    return { engine, endpoints: engine.endpoints() };
  } catch (error) {
    if (!(error instanceof EngineOpenError)) {
      throw new WeftError(
        "no-engine",
        `the engine cannot be loaded (${messageOf(error)}): build it with npm run build:native`,
      );
    }
    const code = isErrorCode(error.code) ? error.code : "engine-failed";
    throw new WeftError(code, `${error.message}: ${CURES[error.code] ?? "see docs/OPERATING.md"}`);
  }
}
