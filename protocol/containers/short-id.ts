/** Length of the prefix of a container's or network's id that is shown, as in docker. */
const SHORT_ID_LENGTH = 12;

/** The prefix of an id that tables and messages show. */
export function shortId(id: string): string {
  return id.slice(0, SHORT_ID_LENGTH);
}
