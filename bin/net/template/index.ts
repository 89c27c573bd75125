/**
 * The subset of Go's text/template that is used with docker's `--format`: fields, maps, pipelines, variables, if, with, range,
 * and docker's functions. Not supported are define, template, block, and the functions call, html, js and urlquery.
 *
 * https://pkg.go.dev/text/template, https://docs.docker.com/engine/cli/formatting/
 */
import { evaluate, LAZY } from './evaluate.js';
import { FUNCTIONS, HEADER_FUNCTIONS } from './functions.js';
import { parse } from './parser.js';
import { TemplateError, type Value } from './values.js';

export { Dictionary, type Method, type Struct, TemplateError, type Value, withHidden } from './values.js';

export interface Template {
  /** Throws TemplateError if the data do not have the shape that the template requires. */
  render(data: Value): string;
  /** Like render(), for the headings of a table, which functions do not change. */
  renderHeader(words: Value): string;
}

/** Longest template, in UTF-16 code units. */
const MAX_LENGTH = 64 * 1024;

/** Throws TemplateError. */
export function parseTemplate(text: string): Template {
  if (text.length > MAX_LENGTH) throw new TemplateError(`longer than ${MAX_LENGTH} characters`);
  const nodes = parse(text, new Set([...FUNCTIONS.keys(), ...LAZY]));
  return {
    render: (data) => evaluate(nodes, data, FUNCTIONS),
    renderHeader: (words) => evaluate(nodes, words, HEADER_FUNCTIONS),
  };
}
