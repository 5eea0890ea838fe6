/**
 * /metrics /healthz /readyz /status on 127.0.0.1, for monitors on this machine. Read-only, and deaf to
 * web pages: a page can make a browser connect here under a name of its own (DNS rebinding), but then
 * the Host header carries that name.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { systemCodeOf, WeftError } from "./errors.ts";

export interface HttpPage {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export type Pages = Readonly<Record<string, () => Promise<HttpPage>>>;

/** A monitor or two; more is a leak. */
const MAX_CONNECTIONS = 16;
const REQUEST_TIMEOUT_MS = 5_000;

export class HttpServer {
  readonly #server: Server;
  readonly #pages: Pages;

  constructor(pages: Pages) {
    this.#pages = pages;
    this.#server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: 8_192 },
      (request, response) => {
        void this.#serve(request, response);
      },
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** @returns the port that was bound @throws WeftError metrics-busy */
  async listen(port: number): Promise<number> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once("error", reject);
        this.#server.listen(port, "127.0.0.1", resolve);
      });
    } catch (error) {
      throw new WeftError(
        "metrics-busy",
        `metrics port 127.0.0.1:${port} cannot be bound (${systemCodeOf(error)}): set another with metrics: PORT`,
      );
    }
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const page = await this.#pageFor(request).catch(() => plain(500, "internal error"));
    response.writeHead(page.status, {
      "content-type": page.type,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "same-origin",
    });
    response.end(request.method === "HEAD" ? undefined : page.body);
  }

  async #pageFor(request: IncomingMessage): Promise<HttpPage> {
    if (!isLoopbackHost(request.headers.host)) return plain(403, "ask by the name localhost");
    if (request.headers.origin !== undefined) return plain(403, "not for web pages");
    if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "read only");
    const path = (request.url ?? "").split("?")[0] ?? "";
    const page = Object.hasOwn(this.#pages, path) ? this.#pages[path] : undefined;
    return page === undefined ? plain(404, `one of ${Object.keys(this.#pages).join(" ")}`) : page();
  }
}

export function plain(status: number, text: string): HttpPage {
  return { status, type: "text/plain; charset=utf-8", body: `${text}\n` };
}

export function isLoopbackHost(host: string | undefined): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i.test(host ?? "");
}
