import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import { AlternatePorts } from "../../src/stun/alternate-ports.ts";
import { emitBindingRequest } from "../../src/stun/member-request.ts";
import type { StunQuestion } from "../../src/stun/stun-server.ts";
import { parseStun } from "../../src/wire/stun.ts";
import { KEY } from "./world.ts";

const rng = new SeededRng(5);
const BOUND = { socket: 762, endpoint: { ip: "0.0.0.0", port: 50_000 } };

function question(port: number): StunQuestion {
  const message = parseStun(emitBindingRequest(rng.bytes(12), {}, KEY));
  if (!message.ok) throw new Error(message.reason);
  return { socket: 0, from: { ip: "198.51.100.9", port }, message: message.value };
}

describe("a second port", () => {
  it("is opened once, and what was asked meanwhile is answered when it is there", () => {
    const ports = new AlternatePorts({ 4: 762, 6: 763 });
    const [one, two] = [question(1), question(2)];
    const open = { op: "socket-open", socket: 762, family: 4, port: 0 };
    expect(ports.hold(one, 4)).toEqual({ isHeld: true, open });
    expect(ports.hold(two, 4)).toEqual({ isHeld: true });
    expect(ports.settle(762, BOUND)).toEqual([one, two]);
    expect(ports.bound()).toEqual([BOUND]);
  });

  it("keeps nobody waiting who asks twice, nor more than sixteen, nor when it cannot be had", () => {
    const ports = new AlternatePorts({ 4: 762, 6: 763 });
    const one = question(1);
    ports.hold(one, 4);
    expect(ports.hold(one, 4)).toEqual({ isHeld: false });
    const others = Array.from({ length: 20 }, (_, i) => ports.hold(question(i + 2), 4).isHeld);
    expect(others.filter(Boolean).length).toBe(15);
    expect(ports.settle(762, undefined).length).toBe(16);
    expect(ports.hold(question(99), 4)).toEqual({ isHeld: false });
    expect(ports.bound()).toEqual([]);
  });

  it("is closed a minute after the last question, and can be opened again", () => {
    const ports = new AlternatePorts({ 4: 762, 6: 763 });
    ports.hold(question(1), 4);
    ports.settle(762, BOUND);
    ports.use(0);
    ports.use(30_000);
    expect(ports.timeout(89_999)).toEqual([]);
    expect(ports.timeout(90_000)).toEqual([{ op: "socket-close", socket: 762 }]);
    expect(ports.hold(question(1), 4).open).toBeDefined();
  });
});
