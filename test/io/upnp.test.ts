import { describe, expect, it } from "vitest";
import { isAtGateway } from "../../src/io/upnp.ts";

describe("the answer to a UPnP search", () => {
  it("counts when its description is on the gateway, at any port", () => {
    expect(isAtGateway("http://192.168.1.1:49152/rootDesc.xml", "192.168.1.1")).toBe(true);
    expect(isAtGateway("http://192.168.1.1/", "192.168.1.1")).toBe(true);
  });

  it.each([
    "http://127.0.0.1:7118/metrics",
    "http://169.254.169.254/latest/meta-data",
    "http://192.168.1.10:80/rootDesc.xml",
    "http://192.168.1.1@10.0.0.9/",
    "https://192.168.1.1/",
    "file:///etc/passwd",
    "192.168.1.1",
    "",
  ])("does not when it leads elsewhere: %s", (url) => {
    expect(isAtGateway(url, "192.168.1.1")).toBe(false);
  });
});
