import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { type Cluster, figure, kernelNeeds, LongPing, readPing, secondsSince } from "./cluster.ts";
import { addHome, startInternet } from "./homes.ts";

const TITLE = "a site whose firewall lets only TCP 80 and 443 out";
/** A ping each 0.2 s, from the moment that the address is there. */
const FIRST_PING = ["ping", "-n", "-c", "25", "-i", "0.2", "-W", "1"];

const PROXY_PROGRAM = fileURLToPath(new URL("../../lab/connect-proxy.mjs", import.meta.url));
const PROXY_PORT = 3_128;
/** The second site of its lab. */
const PROXY_IP = "198.51.100.2";
const USERINFO = "clerk:open-sesame";
/** Nothing but TCP to the proxy. */
const PROXY_ONLY = `flush chain ip guard forward
add rule ip guard forward ct state established,related accept
add rule ip guard forward iifname "lan" ip daddr ${PROXY_IP} tcp dport ${PROXY_PORT} accept
add rule ip guard forward drop
`;

async function transportOf(from: Agent, to: string): Promise<string | undefined> {
  return (await from.status())?.peers.find((peer) => peer.name === to)?.transport;
}

describeWhere(TITLE, kernelNeeds("conntrack"), () => {
  let cluster: Cluster;
  afterAll(() => cluster?.remove());

  it("joins over TLS, is reached by members behind NATs, and goes back to UDP", async () => {
    cluster = await startInternet("udpblocked");
    const { agent: other } = await addHome(cluster, "other");
    await cluster.startAll();
    const { agent: blocked, box } = await addHome(cluster, "blocked", { kind: "udp_blocked" });
    const begunMs = performance.now();
    blocked.start();
    await blocked.online();
    figure(`online over TLS after ${secondsSince(begunMs)}`);
    expect(await transportOf(blocked, "public1")).toBe("tls");
    expect((await blocked.weft("peers")).stdout).toMatch(/public1 .* tls /);
    const ip = await cluster.ip("blocked");
    for (const from of [other, cluster.agents[0] as Agent]) {
      const { stdout } = await from.site.finish([...FIRST_PING, ip]);
      expect(readPing(stdout).answered.length).toBeGreaterThan(20);
    }

    const ping = new LongPing(other, ip);
    await ping.answering();
    expect(await transportOf(blocked, "public1")).toBe("tls");
    await box.machine.run(["nft", "flush", "chain", "ip", "guard", "forward"]);
    const allowedMs = performance.now();
    const isBack = async () => (await transportOf(blocked, "public1")) === "udp";
    await eventually("UDP is used again", isBack, 90_000);
    figure(`back on UDP after ${secondsSince(allowedMs)}`);
    expect((await ping.end()).lost).toEqual([]);
  }, 240_000);
});

describeWhere("a site that lets only TCP to a proxy out", kernelNeeds("conntrack"), () => {
  let cluster: Cluster;
  afterAll(() => cluster?.remove());

  it("joins through the proxy and never shows its password", async () => {
    const proxyUrl = `http://${USERINFO}@${PROXY_IP}:${PROXY_PORT}`;
    const extra = `nodes: { blocked: { proxy: "${proxyUrl}" } }`;
    cluster = await startInternet("proxied", { extra });
    const site = await cluster.lab.addSite("proxy");
    expect(site.ip).toBe(PROXY_IP);
    const proxy = site.start([process.execPath, PROXY_PROGRAM, `${PROXY_PORT}`, USERINFO]);
    const isListening = async () => proxy.output.includes("listening");
    await eventually("the proxy listens", isListening, 20_000);
    await cluster.startAll();
    const { agent: blocked, box } = await addHome(cluster, "blocked", { kind: "udp_blocked" });
    await box.machine.run(["nft", "-f", "-"], { input: PROXY_ONLY });
    const begunMs = performance.now();
    blocked.start();
    await blocked.online();
    figure(`online through a proxy after ${secondsSince(begunMs)}`);
    expect(await transportOf(blocked, "public1")).toBe("tls");
    expect(proxy.output).toMatch(/connected 198\.51\.100\.1:\d+/);
    const [first] = cluster.agents;
    const { stdout } = await (first as Agent).site.finish([
      ...FIRST_PING,
      await cluster.ip("blocked"),
    ]);
    expect(readPing(stdout).answered.length).toBeGreaterThan(20);

    const shown = await blocked.weft("config", "show", "-o", "json");
    expect(shown.stdout).toContain(`http://(hidden)@${PROXY_IP}:${PROXY_PORT}`);
    const status = await blocked.weft("status", "-o", "json");
    const encoded = Buffer.from(USERINFO).toString("base64");
    for (const text of [shown.stdout, status.stdout, blocked.log]) {
      expect(text).not.toMatch(new RegExp(`open-sesame|${encoded}`));
    }
  }, 120_000);
});
