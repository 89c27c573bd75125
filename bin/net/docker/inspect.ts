/** Output of `inspect`, which searches for a container first and then for a network, as docker's does. */
import { isMissing } from '../../../parent/client/errors.js';
import type { ContainerReport, NetworkReport } from '../../../protocol/containers/types.js';
import type { Struct, Value } from '../template/index.js';
import { containerView } from './container-view.js';
import { networkView, pseudoNetwork } from './network-row.js';

/** Source of the reports; each method throws APIError with status 404 if nothing has the name. */
export interface Reports {
  inspect(name: string): Promise<ContainerReport>;
  inspectNetwork(name: string): Promise<NetworkReport>;
}

export const TYPES = ['container', 'network'] as const;
export type Type = (typeof TYPES)[number];
/** docker's fields, or those of the stack's API. */
export type Mode = 'dockercompat' | 'native';

/** Of any type if none is given. Throws APIError; that of the container if there is neither. */
export async function inspectAny(reports: Reports, name: string, mode: Mode, type?: Type): Promise<Value> {
  if (type === 'network') return inspectNetwork(reports, name, mode);
  try {
    return shown(await reports.inspect(name), mode, containerView);
  } catch (error) {
    if (type === 'container' || !isMissing(error)) throw error;
    return inspectNetwork(reports, name, mode).catch((other: unknown) => {
      throw isMissing(other) ? error : other;
    });
  }
}

export async function inspectNetwork(reports: Reports, name: string, mode: Mode): Promise<Value> {
  return shown(pseudoNetwork(name) ?? (await reports.inspectNetwork(name)), mode, networkView);
}

function shown<Report extends object>(report: Report, mode: Mode, view: (report: Report) => Struct): Value {
  return mode === 'native' ? (JSON.parse(JSON.stringify(report)) as Value) : view(report);
}
