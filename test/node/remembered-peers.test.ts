import { describe, expect, it } from "vitest";
import { ENGINE_LIMITS } from "../../src/base/engine.ts";
import type { Endpoint } from "../../src/base/net.ts";
import type { LinkView, PathView } from "../../src/link/link-types.ts";
import { FIRST_STREAM } from "../../src/link/stream-sockets.ts";
import { rememberPeers } from "../../src/node/remembered-peers.ts";

const PUBLIC: Endpoint = { ip: "192.0.2.7", port: 7_117 };
const INSIDE: Endpoint = { ip: "10.0.0.7", port: 7_117 };
const HTTPS: Endpoint = { ip: "192.0.2.7", port: 443 };

/** As much of a view as is looked at. */
function view(address: bigint, path: PathView, candidates: readonly Endpoint[]): LinkView {
  return { path, peer: { address, name: `n${address}`, candidates } } as unknown as LinkView;
}

function direct(socket: number, endpoint: Endpoint): PathView {
  return { kind: "direct", socket, endpoint };
}

const endpoints = (...views: LinkView[]) =>
  rememberPeers(views, []).map(({ endpoint }) => endpoint);

describe("remembered peers", () => {
  it("are kept where UDP reaches them, whatever they say", () => {
    expect(endpoints(view(1n, direct(0, INSIDE), [PUBLIC]))).toEqual([INSIDE]);
  });

  it("are kept where our stream leads, by their UDP port when they named it", () => {
    expect(endpoints(view(1n, direct(FIRST_STREAM, HTTPS), [INSIDE, PUBLIC]))).toEqual([PUBLIC]);
    expect(endpoints(view(1n, direct(FIRST_STREAM, HTTPS), [INSIDE]))).toEqual([HTTPS]);
  });

  it("behind a stream of their own or a relay are kept only if they named a public address", () => {
    const accepted = direct(ENGINE_LIMITS.acceptedStreams, { ip: "198.51.100.9", port: 50_000 });
    for (const path of [accepted, { kind: "relay", via: 5n }, { kind: "none" }] as const) {
      expect(endpoints(view(1n, path, [INSIDE]))).toEqual([]);
      expect(endpoints(view(1n, path, [INSIDE, PUBLIC]))).toEqual([PUBLIC]);
    }
  });

  it("are one for each member: reached ones first, then named ones, then earlier ones, 64 in all", () => {
    const relayed = Array.from({ length: 40 }, (_, i) =>
      view(BigInt(i + 1), { kind: "relay", via: 5n }, [{ ip: "192.0.2.8", port: i + 1 }]),
    );
    const reached = view(100n, direct(0, PUBLIC), []);
    const earlier = rememberPeers(
      Array.from({ length: 64 }, (_, i) => view(BigInt(i + 30), direct(0, INSIDE), [])),
      [],
    );
    const peers = rememberPeers([...relayed, reached], earlier);
    expect(peers).toHaveLength(64);
    expect(peers[0]?.name).toBe("n100");
    expect(peers[40]?.name).toBe("n40");
    expect(peers[41]?.name).toBe("n41");
    expect(new Set(peers.map(({ address }) => address)).size).toBe(64);
  });
});
