import type { CryptoSuite } from "../crypto/suite.ts";

/** Loaded only by verbs that make or check keys: most verbs only ask the agent. */
export async function loadSuite(): Promise<CryptoSuite> {
  const { default: sodium } = await import("libsodium-wrappers");
  const { createSodiumSuite } = await import("../crypto/sodium-suite.ts");
  await sodium.ready;
  return createSodiumSuite(sodium);
}
