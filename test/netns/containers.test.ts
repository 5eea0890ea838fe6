import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { eventually } from "../../lab/shell.ts";
import { generateNetworkKey } from "../../src/agent/network-key.ts";
import { describeWhere } from "../support/requires.ts";
import { figure, secondsSince } from "./cluster.ts";
import type { Compose } from "./compose.ts";
import { containerNeeds, useContainers } from "./containers.ts";
import { type Podman, processFact, ROOT } from "./podman.ts";

const TEST_MS = 120_000;
/** CAP_NET_ADMIN is bit 12 of capabilities(7). */
const NET_ADMIN_ALONE = "0000000000001000";
const UP_MS = 60_000;
/** Ten seconds are promised and measured; a busy machine gets more. */
const BACK_MS = 30_000;
const ALLOWED = ["--cap-add", "NET_ADMIN", "--device", "/dev/net/tun"];

describeWhere("containers", await containerNeeds(), () => {
  let podman: Podman;
  let compose: Compose;
  const addresses: Record<string, string> = {};

  useContainers("containers", "docker/compose.yml", TEST_MS, (made) => {
    ({ podman, compose } = made);
  });

  describe("what is missing is named in one line", () => {
    it.each([
      [
        "the device",
        ["--cap-add", "NET_ADMIN"],
        4,
        /^weft: \/dev\/net\/tun .*--device \/dev\/net\/tun\n$/,
      ],
      [
        "the capability",
        ["--device", "/dev/net/tun"],
        4,
        /^weft: CAP_NET_ADMIN .*--cap-add NET_ADMIN\n$/,
      ],
      [
        "the file of a secret",
        [...ALLOWED, "-e", "WEFT_SECRET_FILE=/none"],
        5,
        /^weft: WEFT_SECRET_FILE: \/none .*\n$/,
      ],
      ["key and file", [...ALLOWED], 5, /^weft: no network: .*\/etc\/weft.*WEFT_SECRET_FILE\n$/],
    ])(
      "%s",
      async (_, words, code, says) => {
        const { status, stdout, stderr } = await podman.attend([
          "--network",
          "none",
          ...words,
          "weft",
        ]);
        expect(stderr).toMatch(says);
        expect([status, stdout]).toEqual([code, ""]);
      },
      TEST_MS,
    );
  });

  it(
    "the capabilities of the DaemonSet are enough for the starter",
    async () => {
      const manifest = parse(readFileSync(join(ROOT, "deploy/kubernetes/daemonset.yaml"), "utf8"));
      const [{ securityContext, args }] = manifest.spec.template.spec.containers;
      const given = securityContext.capabilities.add.flatMap((name: string) => ["--cap-add", name]);
      const rights = ["--cap-drop", "ALL", ...given, "--security-opt", "no-new-privileges"];
      const environment = ["--env", `WEFT_SECRET=${generateNetworkKey()}`];
      const place = ["--name", "pod", "--network", "none", "--device", "/dev/net/tun"];
      await podman.start([...place, ...rights, ...environment, "weft", ...args]);
      const isReady = async () =>
        (await podman.exec("pod", "weft", "status", "--check", "ready")).status === 0;
      await eventually("it is ready", isReady, UP_MS);
      expect(processFact(await podman.pidOf("pod"), "CapEff")).toBe(NET_ADMIN_ALONE);
      await podman.run(["rm", "--force", "--time", "0", "pod"]);
    },
    TEST_MS,
  );

  describe("docker/compose.yml", () => {
    it(
      "brings an application of one site to one of the other",
      async () => {
        const started = performance.now();
        await compose.up();
        for (const site of ["a", "b"])
          addresses[site] = await eventually(`agent-${site}`, () => leased(`agent-${site}`), UP_MS);
        for (const [from, to] of [
          ["a", "b"],
          ["b", "a"],
        ] as const)
          await eventually(
            `${from} to ${to}`,
            async () => (await curl(from, to)) === said(to),
            UP_MS,
          );
        figure(
          `containers: curl between two sites ${secondsSince(started)} after the first container`,
        );
      },
      TEST_MS,
    );

    it(
      "runs the agent as a user with CAP_NET_ADMIN alone",
      async () => {
        const pid = await podman.pidOf("agent-a");
        for (const set of ["CapEff", "CapPrm", "CapBnd", "CapAmb"])
          expect([set, processFact(pid, set)]).toEqual([set, NET_ADMIN_ALONE]);
        expect(processFact(pid, "Uid")).toBe("717\t717\t717\t717");
        expect(processFact(pid, "NoNewPrivs")).toBe("1");
        expect((await podman.exec("agent-a", "weft", "peers")).stdout).toContain("site-b");
      },
      TEST_MS,
    );

    it(
      "is healthy while it is ready, and unhealthy while it hangs",
      async () => {
        await eventually("it is healthy", async () => (await health()) === "healthy", UP_MS, 100);
        const pid = await podman.pidOf("agent-a");
        process.kill(pid, "SIGSTOP");
        try {
          await eventually(
            "it is unhealthy",
            async () => (await health()) === "unhealthy",
            UP_MS,
            100,
          );
        } finally {
          process.kill(pid, "SIGCONT");
        }
        await eventually(
          "it is healthy again",
          async () => (await health()) === "healthy",
          UP_MS,
          100,
        );
      },
      2 * TEST_MS,
    );

    it(
      "an agent that is killed comes back with its address",
      async () => {
        const before = await podman.pidOf("agent-b");
        const started = performance.now();
        await podman.run(["kill", "--signal", "KILL", "agent-b"]);
        await podman.finish(["start", "agent-b"]);
        await eventually(
          "curl works again",
          async () => (await curl("a", "b")) === said("b"),
          UP_MS,
        );
        const tookMs = performance.now() - started;
        figure(`containers: curl works ${(tookMs / 1_000).toFixed(2)} s after the kill`);
        expect(tookMs).toBeLessThan(BACK_MS);
        expect(await podman.pidOf("agent-b")).not.toBe(before);
        expect(await eventually("its address", () => leased("agent-b"), UP_MS)).toBe(
          addresses["b"],
        );
        await eventually("and back", async () => (await curl("b", "a")) === said("a"), BACK_MS);
      },
      TEST_MS,
    );
  });

  async function leased(container: string): Promise<string | undefined> {
    const { status, stdout } = await podman.exec(container, "weft", "ip");
    return status === 0 ? stdout.trim() : undefined;
  }

  /** What the application at `from` gets from the one at `to`, by the leased address. */
  async function curl(from: string, to: string): Promise<string> {
    const words = ["curl", "-s", "--max-time", "2", `http://${addresses[to]}:8080/`];
    return (await podman.exec(`app-${from}`, ...words)).stdout;
  }

  /** Docker plays the check itself; here nobody does. */
  async function health(): Promise<string> {
    await podman.finish(["healthcheck", "run", "agent-a"]);
    const { stdout } = await podman.finish(["inspect", "--format", HEALTH, "agent-a"]);
    return stdout.trim();
  }
});

const HEALTH = "{{.State.Health.Status}}";

function said(site: string): string {
  return `this is site ${site}\n`;
}
