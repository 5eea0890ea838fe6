/** Numbers of sends whose outcome somebody in the ring waits for; 0 means nobody does. */
export class Tokens {
  #last = 0;

  next(): number {
    this.#last = this.#last >= 0xffff_fffe ? 1 : this.#last + 1;
    return this.#last;
  }
}
