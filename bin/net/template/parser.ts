/** Builds the syntax tree of a template. */
import { partsOf, type Token } from './lexer.js';
import { TemplateError } from './values.js';

export type Operand =
  | { kind: 'dot'; path: string[] }
  | { kind: 'variable'; name: string; path: string[] }
  | { kind: 'literal'; value: string | number | boolean | null }
  | { kind: 'function'; name: string }
  | { kind: 'pipeline'; pipeline: Pipeline; path: string[] };

/** A function, method or value, and its arguments. */
export type Command = [first: Operand, ...args: Operand[]];

export interface Pipeline {
  /** Variables that the pipeline sets. */
  variables: string[];
  declares: boolean;
  commands: Command[];
}

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipeline: Pipeline }
  | { kind: 'if' | 'with' | 'range'; pipeline: Pipeline; body: Node[]; otherwise: Node[] }
  | { kind: 'break' | 'continue' };

/** Maximum nesting depth of blocks and parentheses. */
const MAX_DEPTH = 100;
const UNSUPPORTED = ['template', 'define', 'block'];

/** @param functions names of the known functions. Throws TemplateError. */
export function parse(template: string, functions: ReadonlySet<string>): Node[] {
  const parser = new Parser(template, functions);
  const { nodes, end } = parser.list(0);
  if (end !== undefined) throw new TemplateError(`{{${end.word}}} without an if, with or range before it`);
  return nodes;
}

interface End {
  word: 'end' | 'else';
  rest: Token[];
}

class Parser {
  readonly #parts;
  #next = 0;
  /** Number of enclosing loops. */
  #loops = 0;

  constructor(
    template: string,
    private readonly functions: ReadonlySet<string>,
  ) {
    this.#parts = partsOf(template);
  }

  /** Parses up to an `end` or `else` of the enclosing block, or to the end of the template. */
  list(depth: number): { nodes: Node[]; end?: End } {
    if (depth > MAX_DEPTH) throw new TemplateError('blocks are nested too deeply');
    const nodes: Node[] = [];
    for (let part = this.#parts[this.#next]; part; part = this.#parts[this.#next]) {
      this.#next++;
      if ('text' in part) {
        if (part.text !== '') nodes.push({ kind: 'text', text: part.text });
        continue;
      }
      const [first, ...rest] = part.action;
      const word = first?.kind === 'word' ? first.text : '';
      if (word === 'end' || word === 'else') return { nodes, end: { word, rest } };
      nodes.push(this.#node(word, part.action, depth));
    }
    return { nodes };
  }

  #node(word: string, action: Token[], depth: number): Node {
    if (word === 'if' || word === 'with' || word === 'range') return this.#block(word, action.slice(1), depth);
    if (word === 'break' || word === 'continue') {
      if (action.length > 1) throw new TemplateError(`{{${word}}} takes no arguments`);
      if (this.#loops === 0) throw new TemplateError(`{{${word}}} outside of a range`);
      return { kind: word };
    }
    if (UNSUPPORTED.includes(word)) throw new TemplateError(`{{${word}}} is not supported`);
    return { kind: 'action', pipeline: new PipelineParser(action, this.functions, 'action').whole() };
  }

  #block(kind: 'if' | 'with' | 'range', tokens: Token[], depth: number): Node {
    const pipeline = new PipelineParser(tokens, this.functions, kind).whole();
    if (kind === 'range') this.#loops++;
    const { nodes: body, end } = this.list(depth + 1);
    if (kind === 'range') this.#loops--;
    if (!end) throw new TemplateError(`{{${kind}}} without {{end}}`);
    if (end.word === 'end') {
      if (end.rest.length > 0) throw new TemplateError('{{end}} takes no arguments');
      return { kind, pipeline, body, otherwise: [] };
    }
    const [next, ...rest] = end.rest;
    if (next) {
      // {{else if …}}, {{else with …}}: a block in the else branch, which ends with it.
      if (next.kind !== 'word' || (next.text !== 'if' && next.text !== 'with') || kind === 'range') {
        throw new TemplateError(`unexpected ${JSON.stringify(next.text)} after else`);
      }
      return { kind, pipeline, body, otherwise: [this.#block(next.text, rest, depth + 1)] };
    }
    const { nodes: otherwise, end: last } = this.list(depth + 1);
    if (last?.word !== 'end') throw new TemplateError(`{{${kind}}} with {{else}}, but without {{end}}`);
    return { kind, pipeline, body, otherwise };
  }
}

class PipelineParser {
  #next = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly functions: ReadonlySet<string>,
    private readonly context: string,
  ) {}

  whole(): Pipeline {
    if (this.tokens.length === 0) {
      throw new TemplateError(
        this.context === 'action' ? 'an action {{}} is empty' : `{{${this.context}}} requires a value`,
      );
    }
    const { variables, declares } = this.#variables();
    const pipeline = { variables, declares, commands: this.#commands(0) };
    const rest = this.#peek();
    if (rest) throw new TemplateError(`unexpected ${JSON.stringify(rest.text)} in an action`);
    return pipeline;
  }

  #peek(ahead = 0): Token | undefined {
    return this.tokens[this.#next + ahead];
  }

  #isMark(text: string, ahead = 0): boolean {
    const token = this.#peek(ahead);
    return token?.kind === 'mark' && token.text === text;
  }

  /** `$x :=`, `$x =`, and in a range `$k, $v :=`. */
  #variables(): { variables: string[]; declares: boolean } {
    const first = this.#peek();
    if (first?.kind !== 'variable') return { variables: [], declares: false };
    const second = this.#isMark(',', 1) ? this.#peek(2) : undefined;
    const length = second ? 3 : 1;
    if (!this.#isMark(':=', length) && !this.#isMark('=', length)) return { variables: [], declares: false };
    if (second && (second.kind !== 'variable' || this.context !== 'range')) {
      throw new TemplateError('only range sets two variables');
    }
    const declares = this.#isMark(':=', length);
    this.#next = length + 1;
    return { variables: second ? [first.text, second.text] : [first.text], declares };
  }

  #commands(depth: number): Command[] {
    if (depth > MAX_DEPTH) throw new TemplateError('parentheses are nested too deeply');
    const commands: Command[] = [this.#command(depth)];
    while (this.#isMark('|')) {
      this.#next++;
      const command = this.#command(depth);
      if (command[0].kind === 'literal') throw new TemplateError('a literal value in a pipeline takes no argument');
      commands.push(command);
    }
    return commands;
  }

  #command(depth: number): Command {
    const first = this.#operand(depth);
    if (!first) throw new TemplateError('a value is missing');
    const command: Command = [first];
    for (let operand = this.#operand(depth); operand; operand = this.#operand(depth)) command.push(operand);
    return command;
  }

  #operand(depth: number): Operand | undefined {
    const token = this.#peek();
    if (!token) return undefined;
    const take = () => {
      this.#next++;
    };
    switch (token.kind) {
      case 'field':
        return { kind: 'dot', path: this.#path({ beginning: true }) };
      case 'variable':
        take();
        return { kind: 'variable', name: token.text, path: this.#path() };
      case 'string':
        take();
        return { kind: 'literal', value: token.text };
      case 'number':
        take();
        return { kind: 'literal', value: Number(token.text) };
      case 'word':
        take();
        return this.#word(token.text);
      default:
        if (token.text === '.') {
          take();
          return { kind: 'dot', path: [] };
        }
        if (token.text !== '(') return undefined;
        take();
        return this.#parenthesis(depth);
    }
  }

  #word(text: string): Operand {
    if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true' };
    if (text === 'nil') return { kind: 'literal', value: null };
    if (!this.functions.has(text)) {
      throw new TemplateError(
        `unknown function ${JSON.stringify(text)}; known are ${[...this.functions].sort().join(', ')}`,
      );
    }
    return { kind: 'function', name: text };
  }

  #parenthesis(depth: number): Operand {
    const pipeline = { variables: [], declares: false, commands: this.#commands(depth + 1) };
    if (!this.#isMark(')')) throw new TemplateError('a parenthesis is not closed');
    this.#next++;
    return { kind: 'pipeline', pipeline, path: this.#path() };
  }

  /** Fields that follow without a space; only the first one at the beginning may follow a space. */
  #path({ beginning = false } = {}): string[] {
    const path: string[] = [];
    for (let token = this.#peek(); token?.kind === 'field'; token = this.#peek()) {
      if (token.spaced && !(beginning && path.length === 0)) break;
      path.push(token.text);
      this.#next++;
    }
    return path;
  }
}
