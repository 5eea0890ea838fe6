// An HTTP proxy that knows CONNECT and basic authentication: connect-proxy.mjs PORT [USER:PASSWORD]
import { createServer } from "node:http";
import { connect } from "node:net";

const [port, userinfo] = process.argv.slice(2);
const wanted =
  userinfo === undefined ? undefined : `Basic ${Buffer.from(userinfo).toString("base64")}`;
const server = createServer();
server.on("connect", (request, near) => {
  near.on("error", () => undefined);
  if (request.headers["proxy-authorization"] !== wanted) {
    near.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    return;
  }
  const { hostname, port: farPort } = new URL(`http://${request.url}`);
  const far = connect(Number(farPort || 80), hostname.replace(/^\[(.*)\]$/, "$1"));
  far.on("connect", () => {
    console.log(`connected ${request.url}`);
    near.write("HTTP/1.1 200 Connection established\r\n\r\n");
    near.pipe(far).pipe(near);
  });
  far.on("error", () => near.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
  near.on("close", () => far.destroy());
});
server.listen(Number(port), "0.0.0.0", () => console.log("listening"));
