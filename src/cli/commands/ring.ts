import { EXIT } from "../../agent/errors.ts";
import { ask } from "../agent-call.ts";
import type { Command } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { renderTable } from "../table.ts";

interface RingReply {
  readonly address: string;
  readonly predecessors: readonly string[];
  readonly successors: readonly string[];
  readonly names: Readonly<Record<string, string>>;
}

export const ringCommand: Command = {
  name: "ring [network]",
  describe: "this node's neighbours on the ring, in the order of their addresses",
  async run(context) {
    const options = outputOptions(context.args);
    const reply = await ask(context, "ring");
    print(context.terminal, options, reply, () =>
      ringTable(reply as unknown as RingReply, options.header),
    );
    return EXIT.ok;
  },
};

/** Farthest predecessor first, this node in the middle, farthest successor last. */
function ringTable(ring: RingReply, header: boolean): string {
  const before = ring.predecessors.map((address, i) => ({ place: -(i + 1), address })).reverse();
  const after = ring.successors.map((address, i) => ({ place: i + 1, address }));
  return renderTable(
    [
      {
        title: "PLACE",
        align: "right",
        value: (row) => (row.place > 0 ? `+${row.place}` : `${row.place}`),
      },
      { title: "NODE", value: (row) => ring.names[row.address] },
      { title: "ADDRESS", value: (row) => row.address },
    ],
    [...before, { place: 0, address: ring.address }, ...after],
    header,
  );
}
