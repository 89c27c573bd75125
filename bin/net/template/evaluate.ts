/** Evaluates a template. */
import type { Command, Node, Operand, Pipeline } from './parser.js';
import {
  Dictionary,
  isList,
  isStruct,
  isTrue,
  kindOf,
  type Method,
  TemplateError,
  textOf,
  type Value,
} from './values.js';

/** Functions that evaluate their arguments lazily; they are part of the language. */
export const LAZY = ['and', 'or'] as const;
/** Maximum number of iterations of a `range` over a number. */
const MAX_TURNS = 100_000;

type Flow = 'next' | 'break' | 'continue';

/** Throws TemplateError. */
export function evaluate(nodes: readonly Node[], data: Value, functions: ReadonlyMap<string, Method>): string {
  const run = new Run(functions, data);
  run.list(nodes, data);
  return run.output.join('');
}

class Run {
  readonly output: string[] = [];
  readonly #variables: { name: string; value: Value }[];

  constructor(
    private readonly functions: ReadonlyMap<string, Method>,
    data: Value,
  ) {
    this.#variables = [{ name: '$', value: data }];
  }

  list(nodes: readonly Node[], dot: Value): Flow {
    for (const node of nodes) {
      const flow = this.#node(node, dot);
      if (flow !== 'next') return flow;
    }
    return 'next';
  }

  #node(node: Node, dot: Value): Flow {
    switch (node.kind) {
      case 'text':
        this.output.push(node.text);
        return 'next';
      case 'action': {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.variables.length === 0) this.output.push(textOf(value));
        return 'next';
      }
      case 'break':
      case 'continue':
        return node.kind;
      case 'range':
        return this.#scoped(() => this.#range(node, dot));
      default:
        return this.#scoped(() => {
          const value = this.#pipeline(node.pipeline, dot);
          if (!isTrue(value)) return this.list(node.otherwise, dot);
          return this.list(node.body, node.kind === 'with' ? value : dot);
        });
    }
  }

  /** Runs the task in a scope of its own for variables. */
  #scoped<T>(task: () => T): T {
    const before = this.#variables.length;
    const result = task();
    this.#variables.length = before;
    return result;
  }

  #range({ pipeline, body, otherwise }: Extract<Node, { pipeline: Pipeline; body: Node[] }>, dot: Value): Flow {
    const entries = entriesOf(this.#pipeline({ ...pipeline, variables: [] }, dot));
    if (entries.length === 0) return this.list(otherwise, dot);
    const { variables, declares } = pipeline;
    for (const [key, value] of entries) {
      const flow = this.#scoped(() => {
        const [first, second] = variables;
        if (first !== undefined) this.#set(first, second === undefined ? value : key, declares);
        if (second !== undefined) this.#set(second, value, declares);
        return this.list(body, value);
      });
      if (flow === 'break') break;
    }
    return 'next';
  }

  #set(name: string, value: Value, declares: boolean): void {
    if (declares) this.#variables.push({ name, value });
    else this.#find(name).value = value;
  }

  #find(name: string): { value: Value } {
    const found = this.#variables.findLast((variable) => variable.name === name);
    if (!found) throw new TemplateError(`undefined variable ${name}`);
    return found;
  }

  #pipeline({ commands, variables, declares }: Pipeline, dot: Value): Value {
    let value: Value;
    commands.forEach((command, index) => {
      value = this.#command(command, dot, index === 0 ? [] : [value]);
    });
    for (const name of variables) this.#set(name, value, declares);
    return value;
  }

  /** @param piped the value of the previous command in the pipeline */
  #command([first, ...rest]: Command, dot: Value, piped: Value[]): Value {
    if (first.kind === 'literal' && first.value === null) throw new TemplateError('nil is not a command');
    if (first.kind === 'function') return this.#call(first.name, rest, dot, piped);
    const args = () => [...rest.map((operand) => this.#operand(operand, dot)), ...piped];
    const { value, name } = this.#resolve(first, dot);
    if (typeof value === 'function') return value(...args());
    if (rest.length + piped.length > 0) throw new TemplateError(`${name} is not a function and takes no arguments`);
    return value;
  }

  #call(name: string, rest: readonly Operand[], dot: Value, piped: Value[]): Value {
    if (name === 'and' || name === 'or') {
      if (rest.length + piped.length === 0) throw new TemplateError(`${name} takes at least 1 argument, 0 given`);
      let value: Value;
      for (const operand of rest) {
        value = this.#operand(operand, dot);
        if (isTrue(value) === (name === 'or')) return value;
      }
      return piped.length > 0 ? piped[0] : value;
    }
    const call = this.functions.get(name);
    if (!call) throw new TemplateError(`unknown function ${JSON.stringify(name)}`);
    return call(...rest.map((operand) => this.#operand(operand, dot)), ...piped);
  }

  /** Evaluates an argument: methods and functions are called. */
  #operand(operand: Operand, dot: Value): Value {
    if (operand.kind === 'function') return this.#call(operand.name, [], dot, []);
    const { value } = this.#resolve(operand, dot);
    return typeof value === 'function' ? value() : value;
  }

  #resolve(operand: Exclude<Operand, { kind: 'function' }>, dot: Value): { value: Value; name: string } {
    switch (operand.kind) {
      case 'literal':
        return { value: operand.value, name: JSON.stringify(operand.value) };
      case 'dot':
        return { value: follow(dot, operand.path, ''), name: `.${operand.path.join('.')}` };
      case 'variable':
        return {
          value: follow(this.#find(operand.name).value, operand.path, operand.name),
          name: [operand.name, ...operand.path].join('.'),
        };
      default:
        return {
          value: follow(this.#pipeline(operand.pipeline, dot), operand.path, '(…)'),
          name: 'a value in parentheses',
        };
    }
  }
}

function entriesOf(value: Value): [Value, Value][] {
  if (value === null || value === undefined) return [];
  if (isList(value)) return value.map((part, index) => [index, part]);
  if (value instanceof Dictionary) return value.entries();
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || value > MAX_TURNS) throw new TemplateError(`range over ${value}`);
    return Array.from({ length: Math.max(value, 0) }, (_, index) => [index, index]);
  }
  throw new TemplateError(`range over ${kindOf(value)}`);
}

/** @param start the name of the value in the template, for messages */
function follow(value: Value, path: readonly string[], start: string): Value {
  return path.reduce<Value>((from, name, index) => {
    const shown = [start, ...path.slice(0, index)].join('.') || '.';
    return fieldOf(typeof from === 'function' ? from() : from, name, shown);
  }, value);
}

function fieldOf(from: Value, name: string, shown: string): Value {
  if (from instanceof Dictionary) return from.get(name);
  if (!isStruct(from)) throw new TemplateError(`${shown} is ${kindOf(from)} and has no field .${name}`);
  if (Object.hasOwn(from, name)) return from[name];
  throw new TemplateError(`unknown field .${name}; known are ${Object.keys(from).join(', ')}`);
}
