/**
 * One body of tests for every implementation of `Engine` (src/base/engine.ts, docs/WIRE.md). A test
 * waits for an event, never for a time; "nothing came" is shown by something later that did come.
 */
import { afterEach, beforeEach, describe } from "vitest";
import { aclContract } from "./contract-acl.ts";
import { commandContract } from "./contract-commands.ts";
import { datagramContract } from "./contract-datagrams.ts";
import { filterContract } from "./contract-filter.ts";
import { keysContract } from "./contract-keys.ts";
import { pathSizeContract } from "./contract-path-size.ts";
import { relayContract } from "./contract-relay.ts";
import { replayContract } from "./contract-replay.ts";
import { sealedContract } from "./contract-sealed.ts";
import { socketContract } from "./contract-sockets.ts";
import { streamContract } from "./contract-streams.ts";
import { tapContract } from "./contract-tap.ts";
import type { Lab } from "./lab.ts";

/** Declares the suite; `makeLab` gives a fresh world for each test. */
export function engineContract(name: string, makeLab: () => Lab): void {
  contractOf(name, makeLab, (lab) => {
    describe("commands", () => commandContract(lab));
    describe("frames from the TAP", () => tapContract(lab));
    describe("keys", () => keysContract(lab));
    describe("sealed datagrams", () => sealedContract(lab));
    describe("replays and forgeries", () => replayContract(lab));
    describe("datagrams of no session, paths, control", () => datagramContract(lab));
    describe("sizes of paths", () => pathSizeContract(lab));
    describe("relay", () => relayContract(lab));
    describe("filter", () => filterContract(lab));
    describe("access rules", () => aclContract(lab));
  });
}

/** The part about sockets by command and streams. */
export function engineSocketContract(name: string, makeLab: () => Lab): void {
  contractOf(name, makeLab, (lab) => {
    describe("sockets by command", () => socketContract(lab));
    describe("streams", () => streamContract(lab));
  });
}

function contractOf(name: string, makeLab: () => Lab, declare: (lab: () => Lab) => void): void {
  let current: Lab | undefined;
  const lab = (): Lab => {
    if (current === undefined) throw new Error("no lab outside a test");
    return current;
  };
  describe(`engine contract: ${name}`, () => {
    beforeEach(() => {
      current = makeLab();
    });
    afterEach(async () => {
      await current?.close();
      current = undefined;
    });
    declare(lab);
  });
}
