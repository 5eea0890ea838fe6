/** One end of real-tap.test.ts, run inside its namespace: side 0 pings and serves, side 1 answers. */
import { deepStrictEqual as deepEqual, throws } from "node:assert";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, openSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { openNativeEngine } from "../../src/io/engine.ts";
import { Tap } from "../../src/io/tap.ts";
import { allow, direct, forward, MAC_A, MAC_B, MAC1_KEY, openSession } from "../engine/lab.ts";

const PORT = 7_100;
const TCP_BYTES = 3_000_000;
const GIVE_UP_MS = 30_000;

const side = process.argv[2] === "1" ? 1 : 0;
const own = { mac: side === 0 ? MAC_A : MAC_B, ip: `10.9.0.${1 + side}` };
const peer = { mac: side === 0 ? MAC_B : MAC_A, ip: `10.9.0.${2 - side}` };

setTimeout(() => {
  console.log("gave up");
  process.exit(1);
}, GIVE_UP_MS).unref();

const engine = openNativeEngine({
  sockets: [{ ip: `192.0.2.${1 + side}`, port: PORT }],
  tap: { name: "weft%d", mtu: 1_390, mac: own.mac, up: true },
  mac1Key: MAC1_KEY,
});
engine.setKeepsAlive(true);
if (engine.tapMac !== own.mac || engine.tapMtu !== 1_390)
  throw new Error("the TAP is not as asked");
execFileSync("ip", ["address", "add", `${own.ip}/24`, "dev", engine.tapName]);
execFileSync("ip", ["neigh", "add", peer.ip, "lladdr", peer.mac, "dev", engine.tapName]);
engine.apply([
  ...openSession(1, { generation: 1, side }, direct({ ip: `192.0.2.${2 - side}`, port: PORT })),
  allow(1, [peer.mac, peer.ip]),
  forward(peer.mac, 1),
  forward(own.mac, "local"),
]);

if (side === 0) await serve();
else await answer();
await bothDone();
const name = engine.tapName;
engine.close();
if (existsSync(`/sys/class/net/${name}`)) throw new Error("the interface is still there");
checkTap();
console.log("tap closed, interface gone");
process.exit(0);

/** The last TCP segments of one end need the other end's engine: neither goes before both are done. */
async function bothDone(): Promise<void> {
  const folder = process.argv[3] ?? "";
  writeFileSync(join(folder, `done-${side}`), "");
  while (!existsSync(join(folder, `done-${1 - side}`))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function serve(): Promise<void> {
  let received = 0;
  const ended = new Promise<void>((resolve) => {
    // no name to resolve: the socket listens before this call returns
    const server = createServer((socket) => {
      socket.on("data", (bytes) => {
        received += bytes.length;
      });
      socket.on("end", () => {
        socket.end(String(received));
        server.close(() => resolve());
      });
    });
    server.listen(PORT);
  });
  await untilPeerAnswers();
  const out = execFileSync("ping", ["-q", "-c", "20", "-i", "0.05", "-W", "2", peer.ip], {
    encoding: "utf8",
  });
  console.log(`ping: ${/[\d.]+% packet loss/.exec(out)?.[0]}`);
  await ended;
  console.log(`tcp: ${received} bytes`);
}

async function answer(): Promise<void> {
  await untilPeerAnswers();
  const socket = await connected();
  socket.end(new Uint8Array(TCP_BYTES));
  let text = "";
  for await (const bytes of socket) text += bytes.toString();
  console.log(`tcp: ${text} bytes`);
}

/** The kernel over there answers pings before its program listens. */
async function connected(): Promise<Socket> {
  for (;;) {
    const socket = connect({ host: peer.ip, port: PORT, allowHalfOpen: true });
    try {
      await once(socket, "connect");
      return socket;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** The other end may still be starting. */
async function untilPeerAnswers(): Promise<void> {
  for (;;) {
    try {
      execFileSync("ping", ["-q", "-c", "1", "-W", "1", peer.ip], { stdio: "ignore" });
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** The public Tap on an interface of its own. */
function checkTap(): void {
  const tap = Tap.open({ name: "weftest", mtu: 1_280, mac: "02:00:00:00:00:33", up: true });
  deepEqual([tap.name, tap.mtu, tap.mac], ["weftest", 1_280, "02:00:00:00:00:33"]);
  tap.setMtu(1_400);
  deepEqual(tap.mtu, 1_400);
  deepEqual(tap.write(new Uint8Array(60).fill(0xff)), true);
  tap.setCarrier(false);
  tap.setCarrier(true);
  throws(() => tap.setCarrier("yes" as never), TypeError);
  // what was refused has changed nothing
  deepEqual(readFileSync("/sys/class/net/weftest/carrier", "ascii").trim(), "1");
  tap.close();
  checkStarter();
}

/** A starter with more rights opened the device: the addon takes its descriptor over. */
function checkStarter(): void {
  const deviceFd = openSync("/dev/net/tun", "r+");
  const tap = Tap.open({ name: "weftest", deviceFd });
  deepEqual(readlinkSync(`/proc/self/fd/${deviceFd}`), "/dev/net/tun");
  deepEqual(existsSync("/sys/class/net/weftest"), true);
  tap.close();
  deepEqual(existsSync("/sys/class/net/weftest"), false);
  throws(() => Tap.open({ name: "weftest", deviceFd: 999 }), /EBADF|Bad file descriptor/);
}
