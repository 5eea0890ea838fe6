/**
 * The part of `k-bucket` that contact-book.ts uses. The package's published types pull in Node's,
 * which the core must not see; so these are ours.
 */
declare module "k-bucket" {
  interface KBucketOptions<C> {
    /** Always given: without it the package draws a random one from the host. */
    readonly localNodeId: Uint8Array;
    readonly numberOfNodesPerKBucket: number;
    readonly arbiter: (incumbent: C, candidate: C) => C;
  }
  class KBucket<C extends { readonly id: Uint8Array }> {
    constructor(options: KBucketOptions<C>);
    add(contact: C): this;
    get(id: Uint8Array): C | null;
    remove(id: Uint8Array): this;
    count(): number;
    toArray(): C[];
  }
  export = KBucket;
}
