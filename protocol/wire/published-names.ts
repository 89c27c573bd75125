/** Over all networks. */
export const MAX_PUBLISHED_NAMES = 20_000;
/** Of one entry. */
export const MAX_PUBLISHED_ADDRESSES = 64;

/** Names of containers that the agent reports to the parent, for the host's programs. */
export interface PublishedNames {
  networks: {
    network: string;
    subnets: string[];
    entries: {
      names: string[];
      addresses: string[];
      /** Its id; "" for those of other hosts. */
      container: string;
    }[];
  }[];
}
