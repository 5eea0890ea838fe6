// A plain node of a private BitTorrent DHT: bittorrent-node.mjs ADDRESS PORT [HOST:PORT of another one]
import { Server } from "bittorrent-dht";

const [address, port, other] = process.argv.slice(2);
const node = new Server({ bootstrap: other === undefined ? false : [other] });
node.listen(Number(port), address, () => console.log("listening"));
node.on("announce", (peer) => console.log(`announced ${peer.host}:${peer.port}`));
