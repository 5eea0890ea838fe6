import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/base/net.ts";
import { NatSamples } from "../../src/stun/nat-samples.ts";
import { Survey, type SurveyAsk } from "../../src/stun/survey.ts";

const SERVER: Endpoint = { ip: "192.0.2.1", port: 3_478 };

/** @returns whom the survey asks last, when its server names `other` as its other address */
function lastAsked(other: Endpoint): string[] {
  const survey = new Survey({
    first: { socket: 9, localPort: 5_000 },
    second: undefined,
    destinations: [{ endpoint: SERVER, isMember: false }],
    reflexive: () => undefined,
    samples: new NatSamples(),
  });
  const mapped: Endpoint = { ip: "198.51.100.1", port: 5_000 };
  const answer = { ok: true, mapped, from: SERVER, socket: 9, other, asked: undefined as never };
  const asked: SurveyAsk[] = survey.begin();
  let last: SurveyAsk[] = [];
  for (let ask = asked.shift(); ask !== undefined; ask = asked.shift()) {
    const next = survey.take(0, ask, answer as never);
    if (next === "done") break;
    asked.push(...next);
    if (next.length > 0) last = next;
  }
  return last.filter(({ step }) => step === "others").map(({ to }) => to.endpoint.ip);
}

describe("a survey", () => {
  it("asks the other address of a server, but no group and not this host", () => {
    expect(lastAsked({ ip: "192.0.2.2", port: 3_479 })).toEqual(["192.0.2.2", "192.0.2.2"]);
    for (const ip of ["127.0.0.1", "224.0.0.1", "255.255.255.255"]) {
      expect(lastAsked({ ip, port: 3_479 })).toEqual([]);
    }
  });
});
