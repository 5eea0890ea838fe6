import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import type { Site } from "../../lab/lab.ts";
import { NatBox } from "../../lab/nat-box.ts";
import { describeWhere, requireCommand, requireFile } from "../support/requires.ts";
import { Cluster, kernelNeeds } from "./cluster.ts";

const NPM_CLIENT = fileURLToPath(new URL("../judges/stun-client.mjs", import.meta.url));
/** The port that npm's client asks from. */
const ASKING_PORT = 40_001;

const needs = kernelNeeds("turnutils_stunclient", "turnutils_natdiscovery");

describeWhere("standard STUN clients against an agent that serves anyone", needs, () => {
  let cluster: Cluster;
  let server: Agent;
  let outside: Site;
  let home: NatBox;
  let inside: Site;
  let second: string;

  beforeAll(async () => {
    cluster = await Cluster.create("stunserver");
    const { lab } = cluster;
    second = lab.takeAddress().ip;
    const flags = ["--stun", "anyone", "--listen", "placeholder"];
    const options = { flags };
    server = await cluster.addAgent("server", options);
    await server.site.run(["ip", "addr", "add", `${second}/24`, "dev", "eth0"]);
    const all = [server.site.ip, second].flatMap((ip) => [`${ip}:3478`, `${ip}:3479`]);
    flags[3] = all.join(",");
    server.start();
    await server.online();
    outside = await lab.addSite("outside");
    home = await NatBox.create(lab, "home", { kind: "portrestricted" });
    inside = await home.addSite("inside");
  }, 120_000);
  afterAll(() => cluster?.remove());

  it("turnutils_stunclient learns its address, RFC 5780 included", async () => {
    const said = await outside.run(["turnutils_stunclient", "-f", server.site.ip]);
    expect(said).toContain(`UDP reflexive addr: ${outside.ip}:`);
    expect(said).toContain(`Other addr: : ${second}:3479`);
    expect(said).toContain("RFC 5780 response 3");
  });

  it("turnutils_natdiscovery finds what the NAT does", async () => {
    const ask = ["turnutils_natdiscovery", "-m", "-f", server.site.ip];
    const said = await inside.run(ask, { timeoutMs: 60_000 });
    expect(said).toContain("NAT with Endpoint Independent Mapping");
    expect(said).toContain("NAT with Address and Port Dependent Filtering");
    const open = await outside.run(ask, { timeoutMs: 60_000 });
    expect(open).toContain("NAT with Endpoint Independent Filtering");
  });

  const npmNeeds = [requireFile("test/judges/node_modules/stun"), requireCommand("conntrack")];
  describeWhere("npm's stun client", npmNeeds, () => {
    it("learns its address in the open", async () => {
      const said = await askByNpm(outside, server.site.ip);
      expect(said).toEqual({ address: outside.ip, port: ASKING_PORT, isIntact: true });
    });

    it("learns what the NAT made of it, as the kernel's own table has it", async () => {
      const said = await askByNpm(inside, server.site.ip);
      const asked = ["-p", "udp", "--src", inside.ip, "--sport", `${ASKING_PORT}`];
      const entry = await home.machine.run(["conntrack", "-L", ...asked]);
      const port = Number(/src=\S+ dst=\S+ sport=3478 dport=(\d+)/.exec(entry)?.[1]);
      expect(said).toEqual({ address: home.outside, port, isIntact: true });
    });
  });
});

async function askByNpm(site: Site, server: string): Promise<unknown> {
  const client = [process.execPath, NPM_CLIENT, `${server}:3478`, `${ASKING_PORT}`];
  return JSON.parse(await site.run(client));
}
