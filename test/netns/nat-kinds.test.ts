import { afterAll, beforeAll, expect, it } from "vitest";
import { Lab, type Site } from "../../lab/lab.ts";
import { type BoxOptions, NatBox } from "../../lab/nat-box.ts";
import { NAT_BEHAVIOURS, type NatBehaviour, type NatKind } from "../../lab/nat-kind.ts";
import type { Observed } from "../../lab/nat-observe.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { kernelNeeds } from "./cluster.ts";

const TITLE = "the lab's NATs map and filter as their names say, seen by plain UDP sockets";
const LOCAL_PORT = 7117;
const UDP_KINDS = (Object.keys(NAT_BEHAVIOURS) as NatKind[]).filter(
  (kind) => kind !== "udp_blocked",
);
const PORT_KEEPING: readonly NatKind[] = ["fullcone", "restricted", "portrestricted", "one_to_one"];

const program = (name: string) => new URL(`../../dist/lab/${name}.js`, import.meta.url).pathname;

describeWhere(TITLE, kernelNeeds("conntrack", "bridge"), () => {
  let lab: Lab;
  let reflector: Site;
  let ips: readonly string[];
  let count = 0;

  beforeAll(async () => {
    lab = await Lab.create(`natkinds-${process.env["WEFT_KERNEL_RUN"] ?? "alone"}`);
    reflector = await lab.addSite("reflector");
    const second = lab.takeAddress().ip;
    await reflector.run(["ip", "addr", "add", `${second}/24`, "dev", "eth0"]);
    ips = [reflector.ip, second];
    const running = reflector.start([process.execPath, program("nat-reflector"), ...ips]);
    await eventually("it listens", async () => running.output.includes("ready"), 10_000, 20);
  });
  afterAll(() => lab?.remove());

  it.concurrent.for(UDP_KINDS)("%s", async (kind) => {
    const { site } = await home({ kind });
    expect(await observe(site)).toMatchObject({
      ...NAT_BEHAVIOURS[kind],
      hairpin: false,
      isPortKept: PORT_KEEPING.includes(kind),
    });
  });

  it.concurrent.for(UDP_KINDS)(
    "%s without guard: the same to whoever is spoken to first",
    async (kind) => {
      const { site } = await home({ kind, guard: false });
      expect(await observe(site)).toMatchObject(NAT_BEHAVIOURS[kind]);
    },
  );

  it("symmetric_sequential hands out neighbouring ports, symmetric does not", async () => {
    const gaps = async (kind: NatKind) => {
      const { outsidePorts } = await observe((await home({ kind })).site);
      return outsidePorts.slice(1).map((port, i) => port - (outsidePorts[i] ?? 0));
    };
    expect(await gaps("symmetric_sequential")).toEqual([1, 1, 1]);
    expect(await gaps("symmetric")).not.toEqual([1, 1, 1]);
  });

  it("a cone that does not keep ports still maps independently of the endpoint", async () => {
    const { site, box } = await home({ kind: "portrestricted", firstPort: 20_000 });
    const before = await observe(site);
    expect(before).toMatchObject({ ...NAT_BEHAVIOURS.portrestricted, isPortKept: false });
    await box.reboot({ firstPort: 40_000 });
    const after = await observe(site);
    expect(after).toMatchObject({ ...NAT_BEHAVIOURS.portrestricted, isPortKept: false });
    expect(Math.min(...after.outsidePorts)).toBeGreaterThanOrEqual(40_000);
  });

  it("hairpin: by the outside endpoint, and only when asked for", async () => {
    for (const kind of ["fullcone", "portrestricted"] as const) {
      const { site } = await home({ kind, hairpin: true });
      expect(await observe(site)).toMatchObject({ hairpin: true, isHairpinOutside: true });
    }
  });

  it("two machines with one source port get two outside ports, each kept for all", async () => {
    const { site, box } = await home({ kind: "portrestricted" });
    const neighbour = await box.addSite(`neighbour${++count}`);
    const [first, second] = [await observe(site), await observe(neighbour)];
    expect(second.mapping).toBe("endpoint-independent");
    expect(second.outsidePorts[0]).not.toBe(first.outsidePorts[0]);
  });

  it("behind two NATs the harder one counts", async () => {
    const layers: readonly [NatKind, NatKind, NatBehaviour][] = [
      ["portrestricted", "fullcone", NAT_BEHAVIOURS.portrestricted],
      ["fullcone", "symmetric", NAT_BEHAVIOURS.symmetric],
    ];
    for (const [inner, outer, behaviour] of layers) {
      const carrier = await NatBox.create(lab, `carrier${++count}`, {
        kind: outer,
        isCarrier: true,
      });
      const { site } = await home({ kind: inner, behind: carrier });
      expect(await observe(site)).toMatchObject(behaviour);
    }
  });

  it("customers of one carrier do not meet but by its hairpin", async () => {
    for (const hairpin of [false, true]) {
      const carrier = await NatBox.create(lab, `carrier${++count}`, {
        kind: "fullcone",
        isCarrier: true,
        hairpin,
      });
      const [a, b] = [
        await home({ kind: "fullcone", behind: carrier }),
        await home({ kind: "fullcone", behind: carrier }),
      ];
      expect((await a.site.finish(["ping", "-c1", "-W1", b.box.outside])).status).not.toBe(0);
      expect(await observe(a.site)).toMatchObject({ hairpin });
    }
  });

  it("udp_blocked: UDP is refused with an ICMP error, the web works", async () => {
    const { site } = await home({ kind: "udp_blocked" });
    const refused = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("${reflector.ip}", 3478)); s.settimeout(2); s.send(b"where")
try: s.recv(100)
except OSError as e: print(type(e).__name__, e.errno)`;
    expect(await site.run(["python3", "-c", refused])).toBe("OSError 113\n");
    const listen = (port: number) =>
      `require("net").createServer((s) => s.end()).listen(${port}, () => console.log("ready"))`;
    for (const [port, isOpen] of [
      [443, true],
      [8443, false],
    ] as const) {
      const server = reflector.start([process.execPath, "-e", listen(port)]);
      await eventually("it listens", async () => server.output.includes("ready"), 10_000, 20);
      const connect = `socket.create_connection(("${reflector.ip}", ${port}), 1)`;
      const { status } = await site.finish(["python3", "-c", `import socket; ${connect}`]);
      expect(status === 0).toBe(isOpen);
      await server.stop();
    }
  });

  it("without guard an early packet from outside burns the port, with guard it does not", async () => {
    for (const guard of [true, false]) {
      const { site, box } = await home({ kind: "portrestricted", guard });
      const early = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("${reflector.ip}", 5000))
s.sendto(b"early", ("${box.outside}", ${LOCAL_PORT})); s.settimeout(3)
print("ready", flush=True)
print(s.recvfrom(100)[1][1], flush=True)`;
      const peer = reflector.start(["python3", "-c", early]);
      await eventually("it sent", async () => peer.output.includes("ready"), 10_000, 20);
      const late = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", ${LOCAL_PORT}))
s.sendto(b"late", ("${reflector.ip}", 5000))`;
      await site.run(["python3", "-c", late]);
      await peer.exited;
      const seenPort = Number(/ready\n(\d+)/.exec(peer.output)?.[1]);
      expect(seenPort === LOCAL_PORT).toBe(guard);
    }
  });

  it("a reboot forgets every mapping", async () => {
    const { site, box } = await home({ kind: "symmetric" });
    const before = await observe(site);
    await box.reboot();
    expect((await box.machine.run(["conntrack", "-L"])).trim()).toBe("");
    expect(await observe(site)).toMatchObject(NAT_BEHAVIOURS.symmetric);
    expect(before.mapping).toBe("address-and-port");
  });

  async function home(options: BoxOptions): Promise<{ site: Site; box: NatBox }> {
    const number = ++count;
    const box = await NatBox.create(lab, `box${number}`, options);
    return { box, site: await box.addSite(`site${number}`) };
  }

  async function observe(site: Site): Promise<Observed> {
    const argv = [process.execPath, program("nat-observe"), `${LOCAL_PORT}`, ...ips];
    return JSON.parse(await site.run(argv)) as Observed;
  }
});
