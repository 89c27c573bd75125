import assert from 'node:assert/strict';
import type { ContainerReport } from '../../../../../protocol/containers/types.js';
import { listensNow, run, tcpRequest, udpAsk, waitFor } from '../../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  HOST_PROGRAMS,
  IDLE,
  NAME_SERVER,
} from '../../../../support/stacks/containers.js';
import { withContainerStack } from '../../../../support/stacks/with-stack.js';

// Containers whose published ports have servers, and what is asked of them.

/** What a web server answers, without the header. */
export const get = async (host: string, port: number) =>
  (await tcpRequest(host, port, 'GET / HTTP/1.0\r\n\r\n')).toString().replace(/^.*\r\n\r\n/s, '');
export const getUdp = async (host: string, port: number) => (await udpAsk(host, port, '?')).toString();
/** Addresses on which anything listens on the host, as ss(8) writes them, by protocol. */
export const listeners = async (port: number) => {
  const { stdout } = await run('ss', ['-Hlntu', `sport = ${port}`]);
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines
    .map((line) => line.trim().split(/\s+/))
    .map(([protocol, , , , local]) => `${protocol} ${local}`)
    .sort();
};

export const serversReady = (pid = 0) =>
  waitFor(() => listensNow(pid, 80) && listensNow(pid, 53, 'udp'), { what: 'the servers in the container' });

export interface Publishing {
  stack: ContainerStack;
  /** Runs a container with rootless-net; resolves with its report when its servers are ready. */
  serve(name: string, ...options: string[]): Promise<ContainerReport>;
  /** Runs a container that is refused with one line, and resolves with that. */
  refused(options: readonly string[]): Promise<string>;
}

/** A stack for the tests of a describe block; after each test no port is left. */
export function withPublishing(): Publishing {
  const stack = withContainerStack();
  afterEach(async () => {
    assert.deepEqual(
      (await stack.api.listPorts()).map(({ spec }) => spec),
      [],
    );
  });
  return {
    stack,
    async serve(name, ...options) {
      const mounts = HOST_PROGRAMS.flatMap((mount) => ['-v', mount]);
      const words = [
        'run',
        '-d',
        '--name',
        name,
        '--hostname',
        name,
        ...options,
        ...mounts,
        '--rootfs',
        busyboxRootfs(),
      ];
      const { code, stderr } = await stack.net(...words, '--', ...NAME_SERVER);
      assert.equal(code, 0, stderr);
      const report = await stack.containers.inspect(name);
      await serversReady(report.pid);
      return report;
    },
    async refused(options) {
      const words = ['run', '-d', ...options, '--rootfs', busyboxRootfs(), '--', ...IDLE];
      const { code, stdout, stderr } = await stack.net(...words);
      assert.deepEqual([code, stdout], [125, ''], options.join(' '));
      assert.match(stderr, /^error: [^\n]*\n$/);
      return stderr;
    },
  };
}
