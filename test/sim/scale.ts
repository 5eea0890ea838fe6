/**
 * How much of the simulator's work `npm test` does, which must end within minutes on two cores.
 * `npm run test:sim` plays everything (sim/full.ts).
 */

/** Seeded orders for each ring size from 7 to 12. */
export const ORDERS_PER_SIZE = 4;
/** Every order of a ring up to this size. */
export const EXHAUSTIVE_UP_TO = 6;
/** Seeds of ten virtual minutes of churn, in two files. */
export const CHURN_SEEDS = 4;
