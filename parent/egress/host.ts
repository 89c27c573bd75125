/** What a policy has to know of the host. */
export interface EgressHost {
  /** Its own addresses. */
  addresses(): string[];
  /** Calls the listener when they may have changed. */
  watch(listener: () => void): void;
}
