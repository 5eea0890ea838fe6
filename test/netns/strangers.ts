/** Sites whose agents are started by hand, with `weft`, and that only a token can lead to one another. */
import { afterAll, beforeAll } from "vitest";
import type { Site } from "../../lab/lab.ts";
import { Cluster } from "./cluster.ts";
import { weft } from "./weft-words.ts";

export interface Strangers<Name extends string> {
  readonly cluster: Cluster;
  readonly sites: Readonly<Record<Name, Site>>;
}

/** Makes them before the tests, and takes down afterwards whatever was made. */
export function useStrangers<Name extends string>(
  name: string,
  names: readonly Name[],
  made: (strangers: Strangers<Name>) => Promise<void> | void,
): void {
  let cluster: Cluster | undefined;
  const sites: Partial<Record<Name, Site>> = {};

  beforeAll(async () => {
    cluster = await Cluster.create(name);
    // Nothing but the token may tell where the others are.
    await cluster.lab.dropMulticast();
    for (const each of names) sites[each] = await cluster.lab.addSite(each);
    await made({ cluster, sites: sites as Record<Name, Site> });
  });
  afterAll(async () => {
    for (const site of Object.values<Site | undefined>(sites)) {
      if (site !== undefined) await weft(site, ["down"]);
    }
    await cluster?.remove();
  });
}
