import type { Step } from '../storage/fault-injection.js';
import type { CNIResult } from './cni/executor/types.js';
import type { Network } from './network.js';

/** A requested interface of a container. */
export interface Attachment {
  containerId: string;
  ifname: string;
  network: Network;
  /** Path of the container's network namespace; "" if it no longer exists. */
  netns: string;
  ip?: string | undefined;
  ip6?: string | undefined;
  mac?: string | undefined;
  aliases?: string[] | undefined;
  /** Whether the container's default route leads through it. */
  defaultRoute: boolean;
}

/**
 * Attaches containers to networks of one kind; a container has one interface on a network. Each step can be repeated, and
 * detach() also works where attach() was never called. Errors are ContainerErrors.
 */
export interface AttachDriver {
  /** Runs the steps of attach, in order; the result is complete after the last one. */
  attach(attachment: Attachment, step: StepRunner): Promise<CNIResult>;
  /**
   * Ends all communication through an interface at once, so that its address can be given away before detach() has removed
   * it, for which the kernel waits.
   */
  cutOff?(attachment: Pick<Attachment, 'containerId' | 'ifname'>): void;
  /** Removes everything but the reserved address, which the container keeps. */
  detach(attachment: Attachment): Promise<void>;
  /** Releases the addresses that the container has on the network, of any interface. */
  release(attachment: Pick<Attachment, 'containerId' | 'network'>): Promise<void>;
  /** Releases what a container holds on networks whose files no longer exist. */
  releaseLost?(containerId: string): Promise<void>;
  /** The network of an interface as it was at the time of attaching; for networks whose file is missing or invalid. */
  lastKnown?(network: string, containerId: string, ifname: string): Promise<Network | undefined>;
  /** Throws a ContainerError that describes the first deviation from what was set up. */
  check(attachment: Attachment): Promise<void>;
}

/** Runs a step, which is recorded in the journal under its name. */
export type StepRunner = <T>(name: Step<'attach'>, task: () => Promise<T> | T) => Promise<T>;
