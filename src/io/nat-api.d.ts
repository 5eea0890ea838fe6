/** The part of `@silentbot1/nat-api` that upnp-worker.ts uses; the package has no types of its own. */
declare module "@silentbot1/nat-api/lib/upnp/index.js" {
  interface Mapping {
    readonly public: number;
    readonly private: number;
    readonly protocol: "UDP" | "TCP";
    readonly description?: string;
    /** seconds */
    readonly ttl?: number;
  }
  class UpnpClient {
    /** One for each address of the host. */
    readonly ssdp: {
      readonly sockets: { readonly address: unknown; close(): void }[];
    };
    findGateway: () => Promise<{
      /** `url` of its description, as whoever answered the search says. */
      readonly gateway: { readonly url: string };
      readonly address: unknown;
    }>;
    portMapping(mapping: Mapping): Promise<unknown>;
    portUnmapping(mapping: Omit<Mapping, "description" | "ttl">): Promise<unknown>;
    externalIp(): Promise<unknown>;
    destroy(): Promise<unknown>;
  }
  export = UpnpClient;
}
