/** What the control socket and the HTTP pages answer, out of a running agent. */
import type { NodeReply } from "../node/command.ts";
import type { Agent } from "./agent.ts";
import { isReady } from "./agent-status.ts";
import { ascending, ascendingIps } from "./certificate-lists.ts";
import type { Method, Params } from "./control-protocol.ts";
import type { Answer } from "./control-server.ts";
import { type HttpPage, type Pages, plain } from "./http-server.ts";
import type { Metrics } from "./metrics.ts";

type Reply = Readonly<Record<string, unknown>>;
type Handlers = { readonly [M in Method]: (params: Params<M>) => Promise<Reply> | Reply };

export function controlAnswers(agent: Agent, version: string, metrics: Metrics): Answer {
  const handlers: Handlers = {
    status: () => ({ ...agent.status() }),
    peers: () => ({ peers: agent.status().peers }),
    lease: () => leases(agent),
    ring: () => ringOf(agent),
    version: () => ({ weft: version, node: process.version, pid: process.pid }),
    metrics: async () => ({ text: await metrics.text() }),
    journal: ({ limit }) => ({ entries: agent.journal.last(limit) }),
    stop: () => soon(() => agent.stop()),
    leave: () => soon(() => agent.leave()),
    ping: async ({ target, size }) => ({ ...(await agent.ask({ name: "ping", target, size })) }),
    release: async ({ target }) => ({ ...(await agent.ask({ name: "release", target })) }),
    resolve: async ({ ip }) => leaseIn(await agent.ask({ name: "resolve", ip })),
    explain: async ({ from, to }) => explained(await agent.ask({ name: "explain", from, to })),
    members: async () => ({ ...(await agent.ask({ name: "members" })) }),
    rotate: async () => {
      await agent.rotate();
      return { rotated: true };
    },
    invite: async (wish) => invitedOf(await agent.ask({ name: "invite", wish: inOrder(wish) })),
    survey: async () => ({ ...(await agent.ask({ name: "survey" })) }),
    notices: async () => noticesIn(await agent.ask({ name: "notices" })),
    "post-notice": async ({ notice }) => {
      const bytes = new Uint8Array(Buffer.from(notice, "base64url"));
      return { ...(await agent.ask({ name: "post-notice", notice: bytes })) };
    },
    "dht-get": async ({ key }) => ({ ...(await agent.ask({ name: "dht-get", key })) }),
  };
  // The parameters were checked against this very method's schema (control-server.ts).
  return async (method, params) =>
    (handlers[method] as (params: Reply) => Promise<Reply> | Reply)(params);
}

/** As certificates have them: each once, ascending. */
function inOrder(wish: Params<"invite">): Params<"invite"> {
  return { ...wish, groups: ascending(wish.groups), claims: ascendingIps(wish.claims) };
}

function invitedOf(reply: Exclude<NodeReply, { kind: "failed" }>): Reply {
  return reply.kind === "invited" ? { ...reply.invited } : {};
}

function explained(reply: Exclude<NodeReply, { kind: "failed" }>): Reply {
  return reply.kind === "explained" ? { ...reply.explained } : {};
}

/** After the answer is on its way: stopping closes the connection it travels on. */
function soon(step: () => void): Reply {
  setImmediate(step);
  return { stopping: true, pid: process.pid };
}

async function leases(agent: Agent): Promise<Reply> {
  const reply = await agent.ask({ name: "leases" });
  return { lease: agent.status().lease, known: reply.kind === "leases" ? reply.leases : [] };
}

function leaseIn(reply: Exclude<NodeReply, { kind: "failed" }>): Reply {
  return reply.kind === "lease" ? { ...reply.lease } : {};
}

/** As words, in the form that `post-notice` takes. */
function noticesIn(reply: Exclude<NodeReply, { kind: "failed" }>): Reply {
  const notices = reply.kind === "notices" ? reply.notices : [];
  return { notices: notices.map((notice) => Buffer.from(notice).toString("base64url")) };
}

function ringOf(agent: Agent): Reply {
  const { ring, address, name, peers } = agent.status();
  return {
    ...ring,
    address,
    names: Object.fromEntries([[address, name], ...peers.map((peer) => [peer.address, peer.name])]),
  };
}

export function httpPages(agent: Agent, metrics: Metrics): Pages {
  return {
    "/metrics": async () => ({
      status: 200,
      type: metrics.contentType,
      body: await metrics.text(),
    }),
    "/healthz": async () => plain(200, "ok"),
    "/readyz": async () => ready(agent),
    "/status": async () => ({
      status: 200,
      type: "application/json",
      body: `${JSON.stringify(agent.status(), undefined, 2)}\n`,
    }),
  };
}

function ready(agent: Agent): HttpPage {
  const status = agent.status();
  return plain(isReady(status) ? 200 : 503, status.state);
}
