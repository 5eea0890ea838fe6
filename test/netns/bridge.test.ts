import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { addBridgedSite, addGuest, BRIDGE, type Guest, ringed } from "./bridged.ts";
import { Capture } from "./capture.ts";
import { Cluster, figure, kernelNeeds, secondsSince, TAP } from "./cluster.ts";
import { openSession, startSshServer, ticksPast } from "./ssh-session.ts";

const TITLE = "machines behind bridges get addresses of their own and reach each other";
/** What one guest hears; python only, so that nothing else has to be there. */
const UDP_ECHO = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9000))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(65535)
    s.sendto(data, peer)
`;
const UDP_ASK = `
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
data = os.urandom(4096)
s.sendto(data, (sys.argv[1], 9000))
assert s.recvfrom(65535)[0] == data
`;

describeWhere(TITLE, kernelNeeds("udhcpc", "tcpdump", "tshark", "ssh", "python3"), () => {
  let cluster: Cluster;
  const guests: Guest[] = [];
  const addresses: string[] = [];

  beforeAll(async () => {
    cluster = await Cluster.create("bridge");
    for (const name of ["a", "b"]) {
      const agent = await addBridgedSite(cluster, name);
      for (const number of [1, 2]) {
        guests.push(await addGuest(cluster, agent.site, `${name}${number}`));
      }
    }
    for (const agent of cluster.agents) {
      agent.start();
      await ringed(agent);
    }
    await cluster.settled();
  });
  afterAll(() => cluster?.remove());

  it("four udhcpc get four leases", async () => {
    const started = performance.now();
    for (const guest of guests) guest.startDhcp("-a");
    for (const guest of guests) addresses.push(await guest.bound());
    figure(`four udhcpc -a behind two bridges: all bound after ${secondsSince(started)}`);
    expect(new Set(addresses).size).toBe(4);
  });

  it("every machine reaches every other", async () => {
    for (const [i, from] of guests.entries()) {
      for (const [j, ip] of addresses.entries()) {
        if (i !== j)
          expect(await from.reaches(ip), `${from.name} to ${guests[j]?.name}`).toBe(true);
      }
    }
  });

  it("what two machines of one site say to each other does not go to the other site", async () => {
    const there = await Capture.start(cluster.agent("b").site, TAP, "icmp");
    expect(await at(0).reaches(ipOf(1), "-c", "3", "-i", "0.2")).toBe(true);
    expect(await at(0).reaches(ipOf(2))).toBe(true);
    const seen = async () => (await there.read(`ip.dst == ${ipOf(2)}`, ["ip.src"])).length > 0;
    await eventually("the ping to the other site is seen there", seen, 10_000);
    expect(await there.read(`ip.dst == ${ipOf(1)}`, ["ip.src"])).toEqual([]);
  });

  it("packets of 1500 bytes pass, with DF as soon as the path's size is known", async () => {
    expect(await at(0).reaches(ipOf(2), "-s", "1472", "-M", "dont")).toBe(true);
    let said = "";
    const isTold = async () => {
      const ping = ["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1472", ipOf(2)];
      const { stdout, stderr } = await at(0).site.finish(ping);
      said = stdout + stderr;
      return /mtu ?= ?(\d+)/.exec(said)?.[1];
    };
    const mtu = await eventually("ping is told the path's size", isTold, 20_000).catch((error) => {
      throw new Error(`${(error as Error).message}: ${said}`);
    });
    figure(`a guest with MTU 1500 is told ${mtu}`);
    expect(Number(mtu)).toBeLessThan(1_500);
    expect(await at(0).reaches(ipOf(2), "-M", "do", "-s", `${Number(mtu) - 28}`)).toBe(true);
  });

  it("a UDP datagram of 4 KiB comes back whole", async () => {
    const server = at(2).site.start(["python3", "-c", UDP_ECHO, ipOf(2)]);
    await eventually("the echo listens", async () => server.output.includes("ready"), 10_000);
    await at(0).site.run(["python3", "-c", UDP_ASK, ipOf(2)]);
    await server.stop();
  });

  it("ssh works, its SYN is clamped to what the path carries", async () => {
    const syns = await Capture.start(cluster.agent("b").site, TAP, "tcp[tcpflags] & tcp-syn != 0");
    const key = await startSshServer(at(2), ipOf(2));
    const session = openSession(at(0), key, ipOf(2));
    await ticksPast(session, 3);
    await session.stop();
    await syns.end();
    const [syn] = await syns.read("tcp.flags.ack == 0", ["tcp.options.mss_val"]);
    expect(Number(syn?.[0])).toBeLessThan(1_400);
  });

  it("an agent that is killed leaves the TAP in the bridge; the guests' leases go on", async () => {
    const agent = cluster.agent("a");
    agent.kill("SIGKILL");
    await agent.exited();
    expect(await masterOf("a")).toBe(BRIDGE);
    const started = performance.now();
    agent.start();
    const works = async () => at(2).reaches(ipOf(0), "-W", "1");
    await agent.explain(() => eventually("a guest is reached again", works, 30_000));
    figure(`agent killed and started: its guest reached again after ${secondsSince(started)}`);
    expect(await at(0).address()).toBe(ipOf(0));
    expect(await masterOf("a")).toBe(BRIDGE);
  });

  it("`weft down` takes the TAP out; the bridge stays", async () => {
    const agent = cluster.agent("a");
    const down = await agent.weft("down");
    expect([down.status, down.stderr]).toEqual([0, ""]);
    expect(await masterOf("a")).toBeUndefined();
    expect((await agent.site.finish(["ip", "link", "show", "dev", BRIDGE])).status).toBe(0);
  });

  function at(index: number): Guest {
    const guest = guests[index];
    if (guest === undefined) throw new Error(`no guest ${index}`);
    return guest;
  }

  function ipOf(index: number): string {
    return addresses[index] ?? "";
  }

  /** The bridge that the TAP of that site is a port of. */
  async function masterOf(name: string): Promise<string | undefined> {
    const { stdout } = await cluster.agent(name).site.finish(["ip", "-j", "link", "show", TAP]);
    if (stdout === "") return undefined;
    return (JSON.parse(stdout) as [{ readonly master?: string }])[0].master;
  }
});
