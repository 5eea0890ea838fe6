import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Config, loadConfig } from "../../src/agent/config.ts";
import { KEY_NAMES } from "../../src/agent/config-schema.ts";
import { planReload } from "../../src/agent/reload.ts";
import { FakeMachine, KEY } from "./fake-machine.ts";

let machine = new FakeMachine();

function configOf(lines: string): Config {
  const file = join(machine.folder, "lab.yaml");
  writeFileSync(file, `secret: ${KEY}\n${lines}\n`, { mode: 0o600 });
  return loadConfig({ file, flags: {}, env: {}, uid: 1_000, nodeName: "alpha" });
}

describe("SIGHUP reads the file again", () => {
  beforeEach(() => {
    machine = new FakeMachine();
  });
  afterEach(() => machine.remove());

  it("the same file changes nothing", () => {
    expect(planReload(configOf("log: debug"), configOf("log: debug"))).toMatchObject({
      taken: [],
      waiting: [],
    });
  });

  it("log, bootstrap and stun_servers count at once, the rest is named and left", () => {
    const before = configOf("log: info\nlisten: 1");
    const after = configOf(
      "log: debug\nbootstrap: [a.example]\nstun_servers: [b.example]\nlisten: 2\nlease: 30m\nport_mapping: off",
    );
    const { config, taken, waiting } = planReload(before, after);
    expect([...taken].sort()).toEqual(["bootstrap", "log", "stun_servers"]);
    expect([...waiting].sort()).toEqual(["lease", "listen", "port_mapping"]);
    expect(config.log).toBe("debug");
    expect(config.bootstrap).toHaveLength(1);
    expect(config.listen).toBe(before.listen);
    expect(config.leaseSeconds).toBe(before.leaseSeconds);
  });

  it("mainline comes and goes with a restart", () => {
    const { config, taken, waiting } = planReload(
      configOf("bootstrap: [a.example]"),
      configOf("bootstrap: [a.example, mainline]"),
    );
    expect([taken, waiting]).toEqual([[], ["bootstrap"]]);
    expect(config.bootstrap).toHaveLength(1);
  });

  it("another key is never taken, and is not shown", () => {
    const other = Buffer.from(KEY, "base64").reverse().toString("base64");
    const { config, waiting } = planReload(
      configOf(""),
      loadConfig({
        file: join(machine.folder, "lab.yaml"),
        flags: { secret: other },
        env: {},
        uid: 1_000,
        nodeName: "alpha",
      }),
    );
    expect(waiting).toEqual(["secret"]);
    expect(Buffer.from(config.networkKey).toString("base64")).toBe(KEY);
  });

  it("names keys as the file does", () => {
    const every = configOf(
      "name: other\nmtu: 1400\ndomain: a.b\ninterface: t0\naddress: dhcp\ncipher: aes256gcm\nrelay: off\nstun: off\nstream: off\nproxy: off\nmetrics: 1\nstate_dir: /a\nrun_dir: /b\nrange: 10.1.0.0/16\nlan: off\nmainline_nodes: [a.b]\nnodes: {alpha: {ip: 10.1.0.2}}",
    );
    const { waiting } = planReload(configOf(""), every);
    expect(waiting.length).toBeGreaterThan(10);
    expect(KEY_NAMES).toEqual(expect.arrayContaining([...waiting]));
  });
});
