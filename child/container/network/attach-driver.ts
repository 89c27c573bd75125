import type { CNIResult } from './cni/types.js';
import type { Step } from './faults.js';
import type { Network } from './networks.js';

/** One interface of a container, as it is asked for. */
export interface Attachment {
  containerId: string;
  ifname: string;
  network: Network;
  /** Path of the container's network namespace; "" where it is gone. */
  netns: string;
  ip?: string | undefined;
  ip6?: string | undefined;
  mac?: string | undefined;
  aliases?: string[] | undefined;
  /** Whether the container's default route leads through it. */
  defaultRoute: boolean;
}

/**
 * Attaches containers to networks of one kind; a container is on a network once. Each step can be repeated, and each of detach() can be where attach() was
 * never called. Errors are ContainerErrors.
 */
export interface AttachDriver {
  /** The steps of attach, in order; the result is whole after the last one. */
  attach(attachment: Attachment, step: StepRunner): Promise<CNIResult>;
  /** Takes everything away but the address, which the container keeps. */
  detach(attachment: Attachment): Promise<void>;
  /** Gives the addresses back that the container has on the network, whichever interface it had there. */
  release(attachment: Pick<Attachment, 'containerId' | 'network'>): Promise<void>;
  /** Gives back what a container holds on networks whose files are gone. */
  releaseLost?(containerId: string): Promise<void>;
  /** The network of an interface as it was when that was attached, where its file is gone or broken since. */
  lastKnown?(network: string, containerId: string, ifname: string): Promise<Network | undefined>;
  /** Throws a ContainerError that says what is not as it was set up. */
  check(attachment: Attachment): Promise<void>;
}

/** Does a step that the journal knows by its name. */
export type StepRunner = <T>(name: Step<'attach'>, task: () => Promise<T> | T) => Promise<T>;
