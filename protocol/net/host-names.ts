/** By which programs inside find the host: ours, and those that Docker and Podman have. */
export const HOST_NAMES: readonly string[] = [
  'host.rootless.internal',
  'host.docker.internal',
  'host.containers.internal',
];
