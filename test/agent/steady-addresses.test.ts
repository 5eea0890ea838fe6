import { expect, it } from "vitest";
import { steadyAddresses } from "../../src/agent/steady-addresses.ts";

const HOME = [{ interface: "eth0", ip: "192.0.2.7", prefix: 24 }];
const AWAY = [{ interface: "wlan0", ip: "198.51.100.7", prefix: 24 }];

it("addresses that cannot be read are the last ones, and the log says so once each time", () => {
  const lines: string[] = [];
  let answer: () => typeof HOME = () => HOME;
  const read = steadyAddresses(() => answer(), {
    warn: (fields, text) => lines.push(`${text} ${JSON.stringify(fields)}`),
    info: (fields, text) => lines.push(`${text} ${JSON.stringify(fields)}`),
  });
  const fail = () => {
    throw Object.assign(new Error("uv_interface_addresses"), { code: "EMFILE" });
  };
  expect(read()).toEqual(HOME);
  answer = fail;
  expect([read(), read(), read()]).toEqual([HOME, HOME, HOME]);
  expect(lines).toEqual(['own addresses cannot be read: the last ones stay {"reason":"EMFILE"}']);
  answer = () => AWAY;
  expect([read(), read()]).toEqual([AWAY, AWAY]);
  expect(lines.slice(1)).toEqual(['own addresses are read again {"failures":3}']);
  answer = fail;
  expect(read()).toEqual(AWAY);
  expect(lines).toHaveLength(3);
});
