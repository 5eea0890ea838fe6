// One life of the addon in a Worker: load, open, talk to itself, end in the way it is told.
import { createRequire } from "node:module";
import { parentPort, workerData } from "node:worker_threads";

const addon = createRequire(import.meta.url)(workerData.addon);
const [near, far] = addon.framePair();
const tap = new addon.Tap({ fd: far });
const engine = new addon.Engine(
  {
    sockets: [{ ip: "127.0.0.1", port: 0 }],
    tap: { fd: near },
    mac1Key: new Uint8Array(32),
  },
  () => parentPort.postMessage({ upcalls: engine.drain().length }),
);
engine.setKeepsAlive(true);
tap.whenReadable(() => {});
const network = new addon.NetworkWatch();
network.whenChanged(() => {});
const frame = new Uint8Array(60).fill(0xff);
for (let i = 0; i < 20; i++) tap.write(frame);
if (workerData.ending === "close") {
  engine.close();
  tap.close();
  network.close();
} else if (workerData.ending === "exit") {
  process.exit(0);
}
// "terminate": the parent ends this thread while data threads run
