import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Lab } from "../../lab/lab.ts";
import { eventually, type Finished, finish } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { figure, kernelNeeds, secondsSince } from "./cluster.ts";
import {
  CONTAINER_TOOLS,
  Podman,
  PREPARE_MS,
  ROOT,
  requireDebian,
  requirePodman,
  TRIXIE_IMAGE,
} from "./podman.ts";

/** Two machines in a minute, the installation included. */
const FIRST_PING_MS = 60_000;
const COMMANDS_MAX = 3;
const TEST_MS = 240_000;
const FIRST = "first";
const NETWORK = "packages";
/** As root on a machine of one's own. */
const MACHINE = [
  "--init",
  "--cap-add",
  "NET_ADMIN",
  "--device",
  "/dev/net/tun",
  "--network",
  NETWORK,
];
const FOLDER = "/packages";
const TARBALL = `${FOLDER}/weft-0.1.0.tgz`;
/** By its local name: the short one would be asked for in the world. */
const NODE_IMAGE = "localhost/node:22-bookworm-slim";

interface Way {
  readonly name: string;
  readonly image: string;
  /** A shell command. */
  readonly install: string;
}

const WAYS: readonly Way[] = [
  {
    name: "tarball",
    image: NODE_IMAGE,
    install: `npm install --global --ignore-scripts ${TARBALL}`,
  },
  {
    name: "deb",
    image: TRIXIE_IMAGE,
    install: `dpkg --install ${FOLDER}/weft_*_${debianArch()}.deb`,
  },
];

describeWhere(
  "packages",
  [...kernelNeeds(...CONTAINER_TOOLS, "dpkg-deb"), await requirePodman(), requireDebian()],
  () => {
    let lab: Lab;
    let podman: Podman;
    let line = "";

    beforeAll(async () => {
      lab = await Lab.create(`packages-${process.env["WEFT_KERNEL_RUN"] ?? "alone"}`);
      podman = await Podman.create(lab);
      const packing = [process.execPath, "scripts/pack.mjs", "--arch", process.arch];
      const packed = await finish(packing, { timeoutMs: PREPARE_MS });
      expect(packed.status, packed.stderr).toBe(0);
      await podman.prepare();
      await podman.provideNode();
      await podman.provideTrixie();
      await podman.run(["network", "create", NETWORK]);
      await startMachine(FIRST, NODE_IMAGE);
      await within(FIRST, `npm install --global --ignore-scripts ${TARBALL}`);
      const invite = await within(
        FIRST,
        "weft init lab >/dev/null && weft up lab >/dev/null && weft invite",
      );
      line = /weft join \S+/.exec(invite.stdout)?.[0] ?? "";
      expect(line).toMatch(/^weft join weft1\./);
    }, PREPARE_MS);
    afterAll(async () => {
      await podman?.remove();
      await lab?.remove();
    }, TEST_MS);

    describe.each(WAYS)("$name", ({ name, image, install }) => {
      it(
        "from nothing to the first ping within a minute, in three commands",
        async () => {
          await startMachine(name, image);
          const tools = await podman.exec(name, "sh", "-c", "command -v cc g++ make weft python3");
          expect(tools.stdout).toBe("");
          const target = (await within(FIRST, "weft ip")).stdout.trim();
          const commands = [install, line, `ping -c 1 -W 5 ${target}`];
          expect(commands.length).toBeLessThanOrEqual(COMMANDS_MAX);
          const started = performance.now();
          for (const command of commands) await within(name, command);
          figure(`packages: ${name}: installed, joined and answered in ${secondsSince(started)}`);
          expect(performance.now() - started).toBeLessThan(FIRST_PING_MS);
          const seen = async () => (await within(FIRST, "weft peers")).stdout.includes(name);
          await eventually(`${FIRST} sees ${name}`, seen, 10_000);
        },
        TEST_MS,
      );
    });

    it(
      "the Debian package brings unit, group, manual and completion, and goes again",
      async () => {
        const files = [
          "/usr/lib/systemd/system/weft@.service",
          "/usr/share/bash-completion/completions/weft",
          "/usr/share/zsh/vendor-completions/_weft",
          "/usr/share/fish/vendor_completions.d/weft.fish",
          "/usr/share/doc/weft/copyright",
        ];
        await within("deb", `ls ${files.join(" ")} && grep -q ^weft: /etc/group`);
        const listed = (await within("deb", "dpkg --listfiles weft")).stdout;
        for (const page of ["man1/weft.1.gz", "man5/weft-cluster.yaml.5.gz"])
          expect(listed).toContain(`/usr/share/man/${page}`);
        expect((await within("deb", "weft version")).stdout).toMatch(
          /^weft 0\.1\.0 \(node v20\.19/,
        );
        await within("deb", "weft down && dpkg --remove weft && [ -f /etc/weft/lab.yaml ]");
        expect((await podman.exec("deb", "ls", "/usr/lib/weft")).status).not.toBe(0);
      },
      TEST_MS,
    );

    async function startMachine(name: string, image: string): Promise<void> {
      const packages = ["--volume", `${join(ROOT, "build/packages")}:${FOLDER}:ro`];
      const asleep = ["--entrypoint", "sleep", image, "infinity"];
      await podman.start(["--name", name, "--hostname", name, ...MACHINE, ...packages, ...asleep]);
    }

    /** What a person types at that machine; it must succeed. */
    async function within(machine: string, command: string): Promise<Finished> {
      const ran = await podman.exec(machine, "sh", "-c", command);
      expect(ran.status, `${command}: ${ran.stdout}${ran.stderr}`).toBe(0);
      return ran;
    }
  },
);

function debianArch(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}
