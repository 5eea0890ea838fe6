/**
 * A STUN client that knows nothing of weft: npm's `stun`. `node stun-client.mjs HOST:PORT LOCAL-PORT`
 * asks from that port of this machine and prints what the answer says, as JSON.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import stun from "stun";

const [server, localPort] = process.argv.slice(2);
const socket = createSocket("udp4");
socket.bind(Number(localPort));
await once(socket, "listening");
const question = stun.createMessage(stun.constants.STUN_BINDING_REQUEST);
question.addFingerprint();
const answer = await stun.request(server, { socket, message: question });
const { address, port } = answer.getXorAddress();
console.log(JSON.stringify({ address, port, isIntact: stun.validateFingerprint(answer) }));
socket.close();
