/** Names of networks and containers by the CNI specification, which are safe in paths, too. Stacks are named alike. */
export const CNI_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Whether the text is such a name, of so many characters at most. */
export function isName(text: string, maxLength: number): boolean {
  return text.length <= maxLength && CNI_NAME.test(text);
}
