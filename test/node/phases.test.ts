import { describe, expect, it } from "vitest";
import { LONELY_AFTER_MS, Phases, SEARCH_MS } from "../../src/node/phases.ts";

function started(nobodyToAsk = false, search = false): Phases {
  const phases = new Phases();
  phases.start(0, { endpoints: !nobodyToAsk, search });
  return phases;
}

describe("phases", () => {
  it("alone after nobody answered for long enough, not a moment earlier", () => {
    const phases = started();
    expect(phases.deadline()).toBe(LONELY_AFTER_MS);
    expect(phases.timeout(LONELY_AFTER_MS - 1)).toBe(false);
    expect(phases.timeout(LONELY_AFTER_MS)).toBe(true);
    expect(phases.phase).toBe("alone");
  });

  it("alone at once when there is nobody to ask", () => {
    const phases = started(true);
    expect(phases.timeout(0)).toBe(true);
    expect(phases.phase).toBe("alone");
  });

  it("while members nearby may be found, nobody is alone before the search had its time", () => {
    const phases = started(true, true);
    expect(phases.deadline()).toBe(SEARCH_MS);
    expect(phases.timeout(SEARCH_MS)).toBe(true);
    expect(phases.phase).toBe("alone");
    const onlySelf = started(false, true);
    onlySelf.nobodyLeft(20);
    expect(onlySelf.deadline()).toBe(SEARCH_MS);
  });

  it("whoever is found gets time to answer, and the whole stays below two seconds", () => {
    const phases = started(true, true);
    phases.somebodyFound(SEARCH_MS);
    expect(phases.timeout(SEARCH_MS)).toBe(false);
    expect(phases.deadline()).toBe(SEARCH_MS + LONELY_AFTER_MS);
    phases.somebodyFound(SEARCH_MS + 1);
    expect(phases.deadline()).toBe(SEARCH_MS + LONELY_AFTER_MS);
    expect(phases.deadline()).toBeLessThan(2_000);
    expect(phases.timeout(phases.deadline())).toBe(true);
  });

  it("alone at once when every endpoint was our own, but not while linked", () => {
    const phases = started();
    phases.nobodyLeft(50);
    expect(phases.timeout(50)).toBe(true);
    expect(phases.phase).toBe("alone");
    const linked = started();
    linked.linksChanged(10, 1);
    linked.nobodyLeft(50);
    expect(linked.timeout(50)).toBe(false);
  });

  it("a link puts loneliness off; a stable ring ends the joining", () => {
    const phases = started();
    expect(phases.linksChanged(100, 1)).toBe(false);
    expect(phases.timeout(LONELY_AFTER_MS)).toBe(false);
    expect(phases.ringStable(false)).toBe(false);
    expect(phases.ringStable(true)).toBe(true);
    expect(phases.phase).toBe("joined");
  });

  it("a ring that does not settle does not keep the node from joining for ever", () => {
    const phases = started();
    phases.linksChanged(100, 1);
    expect(phases.timeout(phases.deadline())).toBe(true);
    expect(phases.phase).toBe("joined");
  });

  it("a second member ends being alone, and losing it for long brings it back", () => {
    const phases = started(true);
    phases.timeout(0);
    expect(phases.linksChanged(1_000, 1)).toBe(true);
    expect(phases.phase).toBe("joining");
    phases.ringStable(true);
    phases.linksChanged(2_000, 0);
    expect(phases.timeout(2_001)).toBe(false);
    expect(phases.timeout(phases.deadline())).toBe(true);
    expect(phases.phase).toBe("alone");
  });

  it("a lost ring is not stable: without links nothing is joined", () => {
    const phases = started();
    expect(phases.ringStable(true)).toBe(false);
  });
});
