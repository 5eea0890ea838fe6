import { describe, expect, it } from "vitest";
import { isNameExempt, parseNoProxy } from "../../src/agent/no-proxy.ts";
import { resolveProxy } from "../../src/agent/proxy-route.ts";
import { isInNetwork } from "../../src/base/net.ts";

/** Whether an address is asked without the proxy. */
const isIpExempt = (list: string, ip: string): boolean =>
  parseNoProxy(list).networks.some((network) => isInNetwork(network, ip));

describe("NO_PROXY", () => {
  it("a name stands for itself and all below it, however it is written", () => {
    const written = [
      "example.com",
      ".example.com",
      "*.example.com",
      "Example.COM.",
      "example.com:443",
    ];
    for (const list of written) {
      const noProxy = parseNoProxy(`other.net, ${list}`);
      for (const host of ["example.com", "a.b.example.com", "A.EXAMPLE.com."]) {
        expect(isNameExempt(noProxy, host), `${list} ${host}`).toBe(true);
      }
      for (const host of ["badexample.com", "example.com.net", "com"]) {
        expect(isNameExempt(noProxy, host), `${list} ${host}`).toBe(false);
      }
    }
  });

  it("takes addresses and blocks of both families", () => {
    const list = "192.0.2.1:80 10.0.0.0/8,2001:db8::/32,[2001:db9::1]:443";
    const inside = ["192.0.2.1", "10.255.0.1", "2001:db8:1::1", "2001:db9::1"];
    for (const ip of inside) expect(isIpExempt(list, ip), ip).toBe(true);
    const outside = ["192.0.2.2", "11.0.0.1", "2001:db9::2", "::"];
    for (const ip of outside) expect(isIpExempt(list, ip), ip).toBe(false);
  });

  it("* is everybody; nothing, and what is malformed, is nobody", () => {
    for (const ip of ["192.0.2.1", "2001:db8::1"]) {
      expect(isIpExempt("lab,*", ip)).toBe(true);
      for (const list of ["", " , ", "192.0.2.0/99", "/", ".", "[", "::1::/8"]) {
        expect(isIpExempt(list, ip), list).toBe(false);
      }
    }
    expect(isNameExempt(parseNoProxy(", . *."), "example.com")).toBe(false);
  });
});

describe("the route through a proxy", () => {
  const book: Record<string, string> = { "proxy.lab": "10.0.0.9", "a.office.lab": "192.0.2.7" };
  const resolver = {
    addresses: async (host: string) => {
      const ip = book[host];
      if (ip === undefined) throw new Error("ENOTFOUND");
      return [ip];
    },
    services: async () => [],
  };
  const setting = (host: string, list: string) => ({
    host: { host, port: 3_128 },
    authorization: "Basic eDp5",
    noProxy: parseNoProxy(list),
  });
  const members = [
    { kind: "host", host: "a.office.lab", port: 7_117 },
    { kind: "host", host: "192.0.2.8", port: 7_117 },
  ] as const;

  it("has the proxy's address, and the addresses of exempt names", async () => {
    const proxy = setting("proxy.lab", "office.lab 10.0.0.0/8");
    expect(await resolveProxy(proxy, members, resolver)).toEqual({
      route: {
        proxy: { endpoint: { ip: "10.0.0.9", port: 3_128 }, authorization: "Basic eDp5" },
        exempt: [
          { ip: "10.0.0.0", prefix: 8 },
          { ip: "192.0.2.7", prefix: 32 },
        ],
      },
      problems: [],
    });
  });

  it("is none while the proxy's name has no address", async () => {
    const { route, problems } = await resolveProxy(setting("gone.lab", ""), members, resolver);
    expect(route).toBeUndefined();
    expect(problems[0]).toMatch(/^proxy name gone\.lab has no address/);
  });
});
