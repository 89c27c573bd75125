/** What `GET /v1/trace` reports: the way of a connection to an address of the host, step by step. */
import { hasFields, isFlag, isListOf, isNumber, isText, optional } from './report-shapes.js';

export interface TraceStep {
  /**
   * `port`: whether the address is published; `listener`: whether the stack accepts connections there; `agent`: whether the
   * process that connects inside is ready; `address`: an address inside that is tried; `source`: whose address the server sees.
   */
  step: 'port' | 'listener' | 'agent' | 'address' | 'source';
  ok: boolean;
  /** One line for people. */
  text: string;
  /** Of an `address`: `address:port` inside, and the errno where it does not answer. */
  address?: string;
  error?: string;
}

export interface TraceReport {
  /** `address:port/protocol` on the host. */
  address: string;
  /** Id of the published port. */
  port?: number;
  /** Name of the container that it leads to. */
  container?: string;
  /** Whether a client would be answered. Of UDP: whether a program would receive its datagrams. */
  answers: boolean;
  steps: TraceStep[];
  /** What can be done where it is not. */
  hint?: string;
}

const isTraceStep = hasFields<TraceStep>({
  step: isText,
  ok: isFlag,
  text: isText,
  address: optional(isText),
  error: optional(isText),
});

export const isTraceReport = hasFields<TraceReport>({
  address: isText,
  port: optional(isNumber),
  container: optional(isText),
  answers: isFlag,
  steps: isListOf(isTraceStep),
  hint: optional(isText),
});
