/** The production crypto suite, ready to use in any test. */
import sodium from "libsodium-wrappers";
import { createSodiumSuite } from "../../src/crypto/sodium-suite.ts";
import type { CryptoSuite } from "../../src/crypto/suite.ts";

await sodium.ready;

export const suite: CryptoSuite = createSodiumSuite(sodium);
