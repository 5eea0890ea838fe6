import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { watchNetwork } from "../../src/io/network-watch.ts";

describe("watching the host's network", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** The kernel: each armed callback is called once, at the next change. */
  function kernel() {
    const state = { armed: undefined as (() => void) | undefined, closed: 0 };
    const open = () => ({
      whenChanged: (callback: () => void) => {
        state.armed = callback;
      },
      close: () => void state.closed++,
    });
    const change = (): void => {
      const { armed } = state;
      state.armed = undefined;
      armed?.();
    };
    return { state, open, change };
  }

  it("tells within a tenth of a second, and storms ten times a second", () => {
    const { open, change } = kernel();
    const onChange = vi.fn();
    watchNetwork(onChange, open);
    change();
    vi.advanceTimersByTime(99);
    expect(onChange).toHaveBeenCalledTimes(0);
    vi.advanceTimersByTime(1);
    expect(onChange).toHaveBeenCalledTimes(1);
    for (let ms = 0; ms < 5_000; ms++) {
      change();
      vi.advanceTimersByTime(1);
    }
    expect(onChange.mock.calls.length).toBeLessThanOrEqual(51);
    expect(onChange.mock.calls.length).toBeGreaterThan(40);
  });

  it("is armed again before the reader reads: a change meanwhile is not lost", () => {
    const { open, change } = kernel();
    let changes = 0;
    watchNetwork(() => {
      if (changes++ === 0) change();
    }, open);
    change();
    vi.advanceTimersByTime(1_000);
    expect(changes).toBe(2);
  });

  it("tells nothing after its end", () => {
    const { state, open, change } = kernel();
    const onChange = vi.fn();
    const watch = watchNetwork(onChange, open);
    change();
    watch?.close();
    vi.advanceTimersByTime(1_000);
    expect(onChange).toHaveBeenCalledTimes(0);
    expect(state.closed).toBe(1);
  });

  it("is absent where the kernel refuses", () => {
    const refuse = () => {
      throw new Error("rtnetlink: Operation not permitted");
    };
    expect(watchNetwork(() => undefined, refuse)).toBeUndefined();
  });
});
