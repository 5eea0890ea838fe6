/** What the demo prints: numbered steps, indented facts, the output of real commands. */

const INDENT = "    ";

export class Screen {
  readonly #total: number;
  #step = 0;

  constructor(total: number) {
    this.#total = total;
  }

  step(title: string): void {
    this.#step++;
    console.log(`\n[${this.#step}/${this.#total}] ${title}`);
  }

  say(line: string): void {
    console.log(`${INDENT}${line}`);
  }

  /** Output of a command as a person would have seen it. */
  show(command: string, output: string): void {
    console.log(`${INDENT}$ ${command}`);
    for (const line of output.trimEnd().split("\n")) console.log(`${INDENT}  ${line}`);
  }
}
