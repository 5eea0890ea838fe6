/**
 * How much of the simulator's work a run does: everything with `npm run test:sim`, a share of it with
 * `npm test`, which must end within minutes on two cores.
 */
const isFull = process.env["WEFT_SIM"] === "full";

/** Seeded orders for each ring size from 8 to 12. */
export const ORDERS_PER_SIZE = isFull ? 500 : 4;
/** Every order of a ring up to this size; larger ones up to 7 by sample. */
export const EXHAUSTIVE_UP_TO = isFull ? 7 : 6;
/** Seeds of ten virtual minutes of churn, in two files. */
export const CHURN_SEEDS = isFull ? 300 : 4;
