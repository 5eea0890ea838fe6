import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWhere } from "../support/requires.ts";
import { addBridgedSite, addGuest, BRIDGE, GUEST_DEVICE, type Guest, ringed } from "./bridged.ts";
import { Capture } from "./capture.ts";
import { Cluster, figure, kernelNeeds, secondsSince } from "./cluster.ts";
import { clientsHere, secondsToAck, startDhcpClient } from "./dhcp-clients.ts";

const TITLE = "real DHCP clients behind a bridge whose agent is alone";
/** Four seconds are promised, so that no client asks twice; a busy machine gets more. */
const ACK_SECONDS = 10;

const here = clientsHere(TITLE);

describeWhere(TITLE, kernelNeeds("tcpdump", "tshark"), () => {
  let cluster: Cluster;
  let capture: Capture;
  const guests = new Map<string, Guest>();

  beforeAll(async () => {
    cluster = await Cluster.create("bridgelone");
    const agent = await addBridgedSite(cluster, "a");
    for (const { name } of here) guests.set(name, await addGuest(cluster, agent.site, name));
    capture = await Capture.start(agent.site, BRIDGE, "udp port 67");
    agent.start();
    await ringed(agent);
  });
  afterAll(() => cluster?.remove());

  it.for(here)("$name", { timeout: 60_000 }, async (client) => {
    const guest = guests.get(client.name) as Guest;
    const started = performance.now();
    startDhcpClient(client, guest.site, GUEST_DEVICE);
    await guest.bound();
    const bound = secondsSince(started);
    const seconds = await secondsToAck(capture, await guest.mac());
    figure(
      `lone node: ${client.name}: ACK ${seconds.toFixed(2)} s after its first question, address ${bound} after its start`,
    );
    expect(seconds).toBeLessThanOrEqual(ACK_SECONDS);
  });
});
