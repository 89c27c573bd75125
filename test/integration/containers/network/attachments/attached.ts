import assert from 'node:assert/strict';
import type { NewNetwork } from '../../../../../parent/client/container-client.js';
import type { AttachmentRequest, ContainerReport, NetworkReport } from '../../../../../protocol/containers/types.js';
import { type ContainerStack, execIn, onNetworks, startContainer } from '../../../../support/stacks/containers.js';
import { withContainerStack } from '../../../../support/stacks/with-stack.js';

// Containers that are put on networks by their names, and what is asked of them.
export interface Attached {
  stack: ContainerStack;
  make(request: NewNetwork): Promise<NetworkReport>;
  /** Starts a container on those networks. */
  startOn(name: string, ...networks: (string | AttachmentRequest)[]): Promise<ContainerReport>;
  inspect(name: string): Promise<ContainerReport>;
  /** What a program prints that runs in a container's network, as root of the stack, whatever the container may. */
  inNetwork(container: ContainerReport, ...command: string[]): Promise<string>;
  /** Lines of ip-route(8) about default routes. */
  defaultRoutes(name: string, ...family: string[]): Promise<string[]>;
  /** Makes a host outside of the stack's networks, at 192.0.2.2, to which the stack has a route. */
  makeOutside(): Promise<void>;
}

/** Interface and network of each attachment, as in "eth0 n1". */
export const interfaces = ({ attachments }: ContainerReport) =>
  attachments.map(({ interface: name, network }) => `${name} ${network}`);

/** A stack for the tests of a describe block, and what they do with it. */
export function withAttachments(): Attached {
  const stack = withContainerStack();
  return {
    stack,
    make: (request) => stack.containers.createNetwork(request),
    startOn: (name, ...networks) =>
      // A DNS server that is not there, so that unknown names are refused at once.
      startContainer(stack, { name, network: onNetworks(...networks), dns: ['127.0.0.1'] }),
    inspect: (name) => stack.containers.inspect(name),
    async inNetwork({ pid }, ...command) {
      const { code, stdout, stderr } = await stack.enter(['nsenter', `--net=/proc/${pid}/ns/net`, ...command]);
      assert.equal(code, 0, `${command.join(' ')}: ${stderr}`);
      return stdout;
    },
    defaultRoutes: async (name, ...family) =>
      (await execIn(stack, name, 'ip', ...family, 'route'))
        .split('\n')
        .filter((line) => line.startsWith('default'))
        .map((line) => line.trim().replace(/ +/g, ' ')),
    async makeOutside() {
      const { pid } = await startContainer(stack, { name: 'outside', network: { mode: 'none' } });
      const script = `
      ip link add out0 type veth peer name eth0 netns ${pid}
      ip addr add 192.0.2.1/24 dev out0
      ip link set out0 up
      nsenter --net=/proc/${pid}/ns/net sh -ec 'ip addr add 192.0.2.2/24 dev eth0; ip link set eth0 up'`;
      const { code, stderr } = await stack.enter(['sh', '-ec', script]);
      assert.equal(code, 0, stderr);
    },
  };
}
