/** The mounts of a container, in docker's formats. */
import type { ContainerMount } from '../../../protocol/containers/mounts.js';
import type { ContainerReport } from '../../../protocol/containers/types.js';
import { Dictionary, type Struct } from '../template/index.js';

type Bind = Extract<ContainerMount, { type: 'bind' }>;

function isBind(mount: ContainerMount): mount is Bind {
  return mount.type === 'bind';
}

function mountsIn({ request }: ContainerReport): ContainerMount[] {
  return request.mounts ?? [];
}

/** Sources and targets, for `--filter volume=`. */
export function mountPaths(report: ContainerReport): string[] {
  return mountsIn(report).flatMap((mount) => (isBind(mount) ? [mount.source, mount.target] : [mount.target]));
}

export function bindSources(report: ContainerReport): string[] {
  return mountsIn(report)
    .filter(isBind)
    .map(({ source }) => source);
}

/** In the format of -v. */
export function bindTexts(report: ContainerReport): string[] {
  return mountsIn(report)
    .filter(isBind)
    .map(({ source, target, options = [] }) =>
      [source, target, options.join(',')].filter((part) => part !== '').join(':'),
    );
}

export function tmpfsOptions(report: ContainerReport): Dictionary | null {
  const mounts = mountsIn(report).filter((mount) => !isBind(mount));
  if (mounts.length === 0) return null;
  return new Dictionary(Object.fromEntries(mounts.map(({ target, options = [] }) => [target, options.join(',')])), '');
}

export function mountStructs(report: ContainerReport): Struct[] {
  return mountsIn(report).map((mount) => {
    const { target, options = [] } = mount;
    return {
      Type: mount.type,
      Source: isBind(mount) ? mount.source : '',
      Destination: target,
      Mode: options.join(','),
      RW: !options.includes('ro'),
      Propagation: isBind(mount)
        ? (options.find((option) => /^r?(private|slave|shared)$/.test(option)) ?? 'rprivate')
        : '',
    };
  });
}
