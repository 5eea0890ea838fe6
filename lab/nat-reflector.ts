/**
 * `nat-reflector.js IP IP`: four UDP sockets on two addresses. Each answers `IP PORT` of whoever
 * asked; the question `from N` is answered by socket N, to which the asker never sent anything.
 */
import { createSocket, type Socket } from "node:dgram";

const PORTS = [3478, 3479];

const sockets: Socket[] = [];
for (const address of process.argv.slice(2)) {
  for (const port of PORTS) {
    const socket = createSocket("udp4");
    sockets.push(socket);
    socket.on("message", (question, asker) => {
      const other = /^from (\d)$/.exec(question.toString())?.[1];
      const answering = other === undefined ? socket : sockets[Number(other)];
      answering?.send(`${asker.address} ${asker.port}`, asker.port, asker.address);
    });
    await new Promise<void>((resolve) => socket.bind(port, address, resolve));
  }
}
console.log("ready");
