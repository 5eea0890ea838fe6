import { describe, expect, it } from "vitest";
import { HostInterface, type IpResult, overlappingAddress, runIp } from "../../src/io/interface.ts";
import { describeWhere, requireCommand } from "../support/requires.ts";

const RANGE = { first: "10.117.0.0", prefix: 16 };

/** Stands for iproute2: the addresses it keeps, the commands it saw. */
function fakeIp(addresses: string[]) {
  const commands: string[] = [];
  const run = async (args: readonly string[]): Promise<IpResult> => {
    await Promise.resolve();
    const line = args.join(" ");
    if (line.includes("addr show")) {
      return {
        ok: true,
        stdout: addresses
          .map((address) => `7: tap0    inet ${address} scope global tap0\n`)
          .join(""),
      };
    }
    commands.push(line);
    const [, verb, address = ""] = args;
    if (verb === "replace") addresses.push(address);
    // as the kernel does: the oldest of a network takes the younger ones with it
    const at = addresses.indexOf(address);
    const network = address.split(".")[0] ?? "";
    const isOldest = addresses.findIndex((one) => one.startsWith(network)) === at;
    if (verb === "del" && !isOldest) addresses.splice(at, 1);
    else if (verb === "del") {
      const rest = addresses.filter((one) => !one.startsWith(network));
      addresses.splice(0, addresses.length, ...rest);
    }
    return { ok: true, stdout: "" };
  };
  return { run, commands, addresses };
}

describe("the address of the interface", () => {
  it("is set once and left alone afterwards", async () => {
    const { run, commands } = fakeIp([]);
    const tap = new HostInterface("tap0", run);
    await tap.setAddress("10.117.0.9", RANGE);
    await tap.setAddress("10.117.0.9", RANGE);
    expect(commands).toEqual(["addr replace 10.117.0.9/16 brd + dev tap0"]);
  });

  it("replaces an old one of the range and keeps foreign ones", async () => {
    const { run, addresses } = fakeIp(["10.117.0.8/16", "192.168.5.1/24"]);
    await new HostInterface("tap0", run).setAddress("10.117.0.9", RANGE);
    expect(addresses).toEqual(["192.168.5.1/24", "10.117.0.9/16"]);
  });

  it("all of the range are cleared, others stay", async () => {
    const { run, addresses } = fakeIp(["192.168.5.1/24", "10.117.0.8/16"]);
    expect((await new HostInterface("br0", run).clearRange(RANGE)).ok).toBe(true);
    expect(addresses).toEqual(["192.168.5.1/24"]);
  });

  it("is cleared, twice too", async () => {
    const { run, addresses, commands } = fakeIp(["10.117.0.8/16"]);
    const tap = new HostInterface("tap0", run);
    expect(
      (await tap.clearAddress("10.117.0.8")).ok && (await tap.clearAddress("10.117.0.8")).ok,
    ).toBe(true);
    expect([addresses, commands]).toEqual([[], ["addr del 10.117.0.8/16 dev tap0"]]);
  });

  it("changes take effect in the order they were asked for", async () => {
    const { run, addresses } = fakeIp([]);
    const tap = new HostInterface("tap0", run);
    await Promise.all([
      tap.setAddress("10.117.0.1", RANGE),
      tap.clearAddress("10.117.0.1"),
      tap.setAddress("10.117.0.2", RANGE),
    ]);
    expect(addresses).toEqual(["10.117.0.2/16"]);
  });

  it("a failing command says which and does not stop the next one", async () => {
    let fails = true;
    const tap = new HostInterface("tap0", async () =>
      fails
        ? { ok: false, code: "interface-failed", detail: "ip x: no" }
        : { ok: true, stdout: "" },
    );
    expect(await tap.setUp(1390)).toMatchObject({ ok: false });
    fails = false;
    expect(await tap.setUp(1390)).toMatchObject({ ok: true });
  });
});

describe("networks that overlap the range", () => {
  const on = (ip: string, prefix: number, name = "eth0") => ({ interface: name, ip, prefix });
  it.each([
    [on("10.117.3.4", 24), true],
    [on("10.0.0.1", 8), true],
    [on("10.118.0.1", 16), false],
    [on("192.168.1.2", 24), false],
    [on("10.117.0.9", 16, "weft-lab"), false],
    [on("fd00::1", 64), false],
  ])("%j: %s", (address, overlaps) => {
    expect(overlappingAddress(RANGE, "weft-lab", [address]) !== undefined).toBe(overlaps);
  });
});

describeWhere("the ip command of this machine", [requireCommand("ip")], () => {
  it("a fault is one line with the command", async () => {
    const result = await runIp(["link", "show", "dev", "weft-no-such"]);
    expect(result).toMatchObject({ ok: false, code: "interface-failed" });
    expect(result.ok ? "" : result.detail).toMatch(
      /^ip link show dev weft-no-such: .*does not exist/,
    );
  });
});
