/** A violated assertion is a bug in weft, never a condition of the outside world. */
export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
}

/** Assertions stay on in production: a wrong state must not travel. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new AssertionFailure(what);
}

/** Marks a switch over a closed union as complete. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${JSON.stringify(value)}`);
}
