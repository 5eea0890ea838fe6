/** 250 unattested records of the usual 250 B: what a site writes before its leases are vouched for. */
const SIGNER_BYTES = 65_536;
/** A lease with its proof (about 1.3 KB) and the MAC record beside it. */
const ATTESTED_BYTES = 2_048;
/** What one node gives to the table of all. */
const STORE_BYTES = 16_777_216;
/** Records nobody vouched for take half at most: many made-up signers cannot crowd leases out. */
const UNATTESTED_BYTES = STORE_BYTES / 2;

interface Use {
  bytes: number;
  records: number;
  attested: number;
}

/** Who uses how many bytes of the store. Signers without records are forgotten. */
export class Quota {
  readonly #bySigner = new Map<string, Use>();
  #bytes = 0;
  #unattestedBytes = 0;
  #records = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get records(): number {
    return this.#records;
  }

  /** False, with nothing changed, when the record is over the signer's or the store's limit. */
  take(signer: string, bytes: number, attested: boolean): boolean {
    const use = this.#bySigner.get(signer) ?? { bytes: 0, records: 0, attested: 0 };
    const allowance = SIGNER_BYTES + ATTESTED_BYTES * (use.attested + (attested ? 1 : 0));
    if (use.bytes + bytes > allowance || this.#bytes + bytes > STORE_BYTES) return false;
    if (!attested && this.#unattestedBytes + bytes > UNATTESTED_BYTES) return false;
    this.#bySigner.set(signer, use);
    this.#add(use, bytes, attested, 1);
    return true;
  }

  /** The inverse of a `take` that succeeded. */
  give(signer: string, bytes: number, attested: boolean): void {
    const use = this.#bySigner.get(signer);
    if (use === undefined) return;
    this.#add(use, bytes, attested, -1);
    if (use.records === 0) this.#bySigner.delete(signer);
  }

  #add(use: Use, bytes: number, attested: boolean, sign: 1 | -1): void {
    use.bytes += sign * bytes;
    use.records += sign;
    if (attested) use.attested += sign;
    else this.#unattestedBytes += sign * bytes;
    this.#bytes += sign * bytes;
    this.#records += sign;
  }
}
