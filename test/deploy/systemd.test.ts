/** The unit as systemd's own tools judge it. Another program stands in for weft, which is not installed here. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWhere, requireCommand } from "../support/requires.ts";

const UNIT = fileURLToPath(new URL("../../deploy/systemd/weft@.service", import.meta.url));
const MOST_EXPOSURE = 3;

describeWhere("deploy/systemd", [requireCommand("systemd-analyze")], () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "weft-unit-"));
    const text = readFileSync(UNIT, "utf8");
    expect(text).toContain("ExecStart=/usr/bin/weft up %i --foreground\n");
    const standing = text.replace("ExecStart=/usr/bin/weft ", "ExecStart=/usr/bin/env ");
    for (const name of ["weft@.service", "weft@lab.service"])
      writeFileSync(join(folder, name), standing);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("systemd-analyze verify has nothing to say", () => {
    const words = ["verify", "--man=no", join(folder, "weft@lab.service")];
    const ran = spawnSync("systemd-analyze", words, { encoding: "utf8" });
    expect([ran.status, ran.stdout, ran.stderr]).toEqual([0, "", ""]);
  });

  it(`exposes no more than ${MOST_EXPOSURE}`, () => {
    const words = ["security", "--offline=yes", "--no-pager", join(folder, "weft@.service")];
    const { stdout } = spawnSync("systemd-analyze", words, { encoding: "utf8" });
    const level = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1]);
    expect(level).toBeGreaterThan(0);
    expect(level).toBeLessThanOrEqual(MOST_EXPOSURE);
  });
});
