import { expect, it } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import { ENGINE_LIMITS } from "../../src/base/engine.ts";
import { ethernet, ipv4, numbered, numberOf, udp } from "./frames.ts";
import {
  connectedPair,
  droppedFor,
  forward,
  IP_A,
  type Lab,
  MAC_A,
  MAC_B,
  type Pair,
  upcallsOf,
} from "./lab.ts";

const STRANGER = "02:00:00:00:00:77";

/** A pair whose B also stands for the stranger, once A asks. */
async function pairWithStranger(lab: Lab): Promise<Pair> {
  const pair = await connectedPair(lab);
  pair.b.engine.apply([forward(STRANGER, "local")]);
  return pair;
}

export function tapContract(lab: () => Lab): void {
  it("sends a frame with a forward entry to its session, byte for byte", async () => {
    const { a, b } = await connectedPair(lab());
    const lengths = [14, 15, 60, 61, 1_300, 1_400];
    const sent = lengths.map((length, i) =>
      length < 16
        ? numbered(MAC_B, MAC_A, 0, 16).slice(0, length)
        : numbered(MAC_B, MAC_A, i, length),
    );
    for (const frame of sent) a.tapSend(frame);
    await lab().until(() => b.tap.length === sent.length);
    expect(b.tap).toEqual(sent);
    expect(a.upcalls).toEqual([]);
  });

  it("drops a frame shorter than its header", async () => {
    const { a, b } = await connectedPair(lab());
    a.tapSend(new Uint8Array(13));
    a.tapSend(numbered(MAC_B, MAC_A, 1));
    await lab().until(() => b.tap.length === 1);
    expect(droppedFor(a, "short-frame")).toBe(1);
  });

  it("asks once for an unknown destination and releases in order, before later frames", async () => {
    const { a, b } = await pairWithStranger(lab());
    for (let number = 0; number < 5; number++) a.tapSend(numbered(STRANGER, MAC_A, number, 200));
    await lab().until(
      () => a.engine.counters().tapFramesIn === 5 && upcallsOf(a, "miss").length > 0,
    );
    a.engine.apply([
      forward(STRANGER, 1),
      { op: "frame-to-peer", session: 1, bytes: numbered(STRANGER, MAC_A, 5) },
    ]);
    a.tapSend(numbered(STRANGER, MAC_A, 6));
    await lab().until(() => b.tap.length === 7);
    expect(b.tap.slice(0, 5).map(numberOf)).toEqual([0, 1, 2, 3, 4]);
    expect(b.tap.slice(5).map(numberOf).sort()).toEqual([5, 6]);
    const misses = upcallsOf(a, "miss");
    expect(misses).toHaveLength(1);
    expect(misses[0]?.mac).toBe(STRANGER);
    expect(misses[0]?.head).toEqual(numbered(STRANGER, MAC_A, 0, 200).slice(0, 128));
  });

  it("asks again after a second while frames wait", async () => {
    const { a } = await connectedPair(lab());
    a.tapSend(numbered(STRANGER, MAC_A, 0));
    await lab().until(() => upcallsOf(a, "miss").length === 1);
    await lab().advance(1_050);
    a.tapSend(numbered(STRANGER, MAC_A, 1));
    await lab().until(() => upcallsOf(a, "miss").length === 2);
  });

  it("lets 64 frames wait for one destination", async () => {
    const { a, b } = await pairWithStranger(lab());
    for (let number = 0; number < 70; number++) a.tapSend(numbered(STRANGER, MAC_A, number));
    await lab().until(() => droppedFor(a, "waiting-full") === 6);
    a.engine.apply([forward(STRANGER, 1)]);
    a.tapSend(numbered(MAC_B, MAC_A, 1_000));
    await lab().until(() => b.tap.map(numberOf).includes(1_000));
    const arrived = b.tap.map(numberOf);
    expect(arrived).toHaveLength(ENGINE_LIMITS.waitingFramesPerMac + 1);
    expect(arrived).toEqual([...arrived].sort((x, y) => x - y));
  });

  it("lets 256 KiB wait for one destination", async () => {
    const { a } = await connectedPair(lab());
    for (let number = 0; number < 40; number++) a.tapSend(numbered(STRANGER, MAC_A, number, 9_000));
    const fit = Math.floor(ENGINE_LIMITS.waitingBytesPerMac / 9_000);
    await lab().until(() => droppedFor(a, "waiting-full") === 40 - fit);
  });

  it("lets 4 MiB wait in all", async () => {
    const { a } = await connectedPair(lab());
    for (let number = 0; number < 480; number++) {
      const mac = `02:00:00:00:01:${(number % 24).toString(16).padStart(2, "0")}`;
      a.tapSend(numbered(mac, MAC_A, number, 9_000));
      if (number % 16 === 15) {
        await lab().until(() => a.engine.counters().tapFramesIn === number + 1);
      }
    }
    const fit = Math.floor(ENGINE_LIMITS.waitingBytes / 9_000);
    await lab().until(() => droppedFor(a, "waiting-full") === 480 - fit);
  });

  it("drops what waited three seconds", async () => {
    const { a, b } = await pairWithStranger(lab());
    a.tapSend(numbered(STRANGER, MAC_A, 0));
    a.tapSend(numbered(STRANGER, MAC_A, 1));
    await lab().until(() => droppedFor(a, "waiting-expired") === 2);
    a.engine.apply([forward(STRANGER, 1)]);
    a.tapSend(numbered(STRANGER, MAC_A, 2));
    await lab().until(() => b.tap.length === 1);
    expect(b.tap.map(numberOf)).toEqual([2]);
  });

  it("drops what waits when the entry is removed", async () => {
    const { a, b } = await pairWithStranger(lab());
    a.tapSend(numbered(STRANGER, MAC_A, 0));
    await lab().until(() => upcallsOf(a, "miss").length === 1);
    a.engine.apply([{ op: "forward-remove", mac: STRANGER }, forward(STRANGER, 1)]);
    await lab().until(() => droppedFor(a, "no-route") === 1);
    a.tapSend(numbered(STRANGER, MAC_A, 1));
    await lab().until(() => b.tap.length === 1);
    expect(b.tap.map(numberOf)).toEqual([1]);
  });

  it("forgets an entry that is removed or has ended", async () => {
    const { a } = await connectedPair(lab());
    a.engine.apply([{ op: "forward-remove", mac: MAC_B }]);
    a.tapSend(numbered(MAC_B, MAC_A, 0));
    await lab().until(() => upcallsOf(a, "miss").length === 1);
    a.engine.apply([forward(STRANGER, 1, 30)]);
    await lab().advance(60);
    a.tapSend(numbered(STRANGER, MAC_A, 1));
    await lab().until(() => upcallsOf(a, "miss").some((miss) => miss.mac === STRANGER));
  });

  it("drops frames for a destination that is to be dropped", async () => {
    const { a, b } = await connectedPair(lab());
    a.engine.apply([forward(STRANGER, "drop")]);
    a.tapSend(numbered(STRANGER, MAC_A, 0));
    a.tapSend(numbered(MAC_B, MAC_A, 1));
    await lab().until(() => b.tap.length === 1);
    expect(droppedFor(a, "no-route")).toBe(1);
    expect(upcallsOf(a, "miss")).toEqual([]);
  });

  it("hands up broadcast, multicast and DHCP whole", async () => {
    const { a } = await connectedPair(lab());
    const dhcp = ethernet(MAC_B, MAC_A, 0x0800, ipv4(IP_A, "10.9.0.1", 17, udp(68, 67, 240)));
    const frames = [
      numbered("ff:ff:ff:ff:ff:ff", MAC_A, 1, 300),
      numbered("33:33:00:00:00:01", MAC_A, 2, 900),
      dhcp,
    ];
    for (const frame of frames) a.tapSend(frame);
    await lab().until(() => upcallsOf(a, "frame").length === 3);
    expect(upcallsOf(a, "frame").map((upcall) => upcall.bytes)).toEqual(frames);
    expect(a.engine.counters().datagramsOut).toBe(0);
  });

  it("writes a frame of the core into the TAP, and sends one to a peer", async () => {
    const { a, b } = await connectedPair(lab());
    const frame = numbered(MAC_A, MAC_B, 9, 333);
    a.engine.apply([{ op: "frame-to-tap", bytes: frame }]);
    await lab().until(() => a.tap.length === 1);
    expect(a.tap[0]).toEqual(frame);
    b.engine.apply([{ op: "frame-to-peer", session: 1, bytes: concat(frame) }]);
    await lab().until(() => a.tap.length === 2);
    expect(a.tap[1]).toEqual(frame);
  });
}
