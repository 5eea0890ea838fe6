import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AgentStatus } from "../../src/agent/agent-status.ts";
import { Service } from "../../src/agent/service.ts";
import { STATUS } from "./fake-machine.ts";

const SOCKET = "/run/systemd/notify";
const PID = 42;
const JOINING = {
  ...STATUS,
  state: "joining",
  lease: undefined,
  peers: [],
} as unknown as AgentStatus;
const ONLINE = { ...STATUS, addressMode: "auto" } as unknown as AgentStatus;

let said: string[] = [];
let status = JOINING;

function serviceWith(env: Readonly<Record<string, string>>): Service {
  return new Service({
    env,
    pid: PID,
    status: () => status,
    send: (socket, text) => {
      expect(socket).toBe(SOCKET);
      said.push(text);
    },
    monotonicUs: () => 1_234_567n,
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  said = [];
  status = JOINING;
});
afterEach(() => vi.useRealTimers());

describe("the agent as a service", () => {
  it("is ready when it has its address, once, and says what it does", () => {
    const service = serviceWith({ NOTIFY_SOCKET: SOCKET });
    service.start();
    vi.advanceTimersByTime(1_000);
    expect(said).toEqual(["STATUS=joining, no address, 0 peers"]);
    status = { ...ONLINE, lease: undefined };
    vi.advanceTimersByTime(1_000);
    expect(said.join()).not.toContain("READY");
    status = ONLINE;
    vi.advanceTimersByTime(250);
    expect(said.at(-1)).toBe("READY=1\nSTATUS=online, 10.117.0.10/16, 2 peers");
    const before = said.length;
    vi.advanceTimersByTime(60_000);
    expect(said.length).toBe(before);
    status = { ...ONLINE, state: "degraded", health: ["a\u001bb: do this"] };
    vi.advanceTimersByTime(5_000);
    expect(said.at(-1)).toBe("STATUS=degraded, 10.117.0.10/16, 2 peers; ! a b: do this");
    service.close();
    vi.advanceTimersByTime(60_000);
    expect(said.length).toBe(before + 1);
  });

  it("in dhcp mode the host's client asks for the address later", () => {
    const service = serviceWith({ NOTIFY_SOCKET: SOCKET });
    service.start();
    status = { ...ONLINE, lease: undefined, addressMode: "dhcp" };
    vi.advanceTimersByTime(250);
    expect(said).toEqual(["READY=1\nSTATUS=online, no address, 2 peers"]);
    service.close();
  });

  it("turns its wheel twice in each period of the watchdog", () => {
    const service = serviceWith({
      NOTIFY_SOCKET: SOCKET,
      WATCHDOG_USEC: "30000000",
      WATCHDOG_PID: `${PID}`,
    });
    service.start();
    vi.advanceTimersByTime(60_000);
    expect(said.filter((text) => text === "WATCHDOG=1")).toHaveLength(4);
    service.stopping();
    vi.advanceTimersByTime(15_000);
    expect(said.at(-2)).toBe("STOPPING=1\nSTATUS=Saying goodbye");
    expect(said.at(-1)).toBe("WATCHDOG=1");
    service.close();
  });

  it.each([
    ["another process is watched", { WATCHDOG_USEC: "1000000", WATCHDOG_PID: "1" }],
    ["nobody watches", {}],
    ["nonsense", { WATCHDOG_USEC: "soon" }],
    ["zero", { WATCHDOG_USEC: "0" }],
  ])("no watchdog: %s", (_, env) => {
    const service = serviceWith({ NOTIFY_SOCKET: SOCKET, ...env });
    service.start();
    vi.advanceTimersByTime(60_000);
    expect(said).not.toContain("WATCHDOG=1");
    service.close();
  });

  it("a reload begins and ends, and does not make it ready before its time", () => {
    const service = serviceWith({ NOTIFY_SOCKET: SOCKET });
    service.start();
    service.reloading();
    service.reloaded();
    expect(said).toEqual(["RELOADING=1\nMONOTONIC_USEC=1234567"]);
    status = ONLINE;
    vi.advanceTimersByTime(250);
    service.reloading();
    service.reloaded();
    expect(said.slice(-2)).toEqual(["RELOADING=1\nMONOTONIC_USEC=1234567", "READY=1"]);
    service.close();
  });

  it("without a manager says nothing and keeps no timer", () => {
    for (const env of [{}, { NOTIFY_SOCKET: "" }]) {
      const service = serviceWith(env);
      service.start();
      service.stopping();
    }
    expect(vi.getTimerCount()).toBe(0);
    expect(said).toEqual([]);
  });
});
