/** The process description of a program that `exec` runs in a container (runtime-spec, config.md, "Process"). */
import type { ExecRequest } from '../../../protocol/containers/types.js';
import type { Spec } from '../oci/bundle.js';
import { type ContainerUser, containerUser } from '../oci/container-user.js';
import { mergeEnv } from '../oci/spec.js';

/**
 * The description of the container's own process (limits, capabilities, environment, user, directory), changed as requested.
 * Throws ContainerError for a user that does not exist.
 */
export function execProcess({ process: own, root }: Spec, request: ExecRequest): Spec['process'] {
  const { command, cwd, size, tty } = request;
  // As for the container's own program with a terminal.
  const term = tty && !request.env.some((text) => text.startsWith('TERM=')) ? ['TERM=xterm'] : [];
  const { consoleSize: _, ...rest } = own;
  return {
    ...rest,
    ...(request.user === undefined ? {} : asUser(own, containerUser(root.path, request.user, []))),
    args: [...command],
    env: mergeEnv(own.env, [...term, ...request.env]),
    ...(cwd === undefined ? {} : { cwd }),
    terminal: tty,
    ...(tty && size ? { consoleSize: { width: size.columns, height: size.rows } } : {}),
  };
}

/** Root gets the capabilities of the bounding set, other users none. */
function asUser({ capabilities }: Spec['process'], user: ContainerUser): Partial<Spec['process']> {
  const bounding = (capabilities as { bounding?: unknown } | undefined)?.bounding ?? [];
  const effective = user.uid === 0 ? bounding : [];
  return { user: { ...user }, capabilities: { bounding, effective, permitted: effective } };
}
