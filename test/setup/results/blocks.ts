// Output of several runs at once that stays readable: a block, such as the tests of one describe(), is printed when it is
// complete, under the name of its run where the block before was another run's.

/** Prints blocks of output; one for all runs. */
export class BlockPrinter {
  readonly #print: (text: string) => void;
  #last = '';

  constructor(print: (text: string) => void) {
    this.#print = print;
  }

  /** Takes the output of a run of that name, in pieces of any size. */
  source(name: string): OutputBlocks {
    return new OutputBlocks((block) => {
      if (this.#last !== name) this.#print(`\n── ${name}\n`);
      this.#last = name;
      this.#print(block);
    });
  }
}

/** Divides text into blocks, which end with an empty line. */
export class OutputBlocks {
  readonly #complete: (block: string) => void;
  #text = '';

  constructor(complete: (block: string) => void) {
    this.#complete = complete;
  }

  write(text: string): void {
    this.#text += text;
    const end = this.#text.lastIndexOf('\n\n');
    if (end < 0) return;
    const block = this.#text.slice(0, end + 2);
    this.#text = this.#text.slice(end + 2);
    if (block.trim() !== '') this.#complete(block);
  }

  /** Prints what has not been: the run has ended. */
  end(): void {
    if (this.#text.trim() !== '') this.#complete(this.#text.endsWith('\n') ? this.#text : `${this.#text}\n`);
    this.#text = '';
  }
}
