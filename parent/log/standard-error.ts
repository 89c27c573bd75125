let watched = false;

/**
 * Standard error; a failure to write to it is ignored. Opened by the first use, which takes Node some milliseconds: most
 * programs write nothing to it.
 */
export function standardError(): typeof process.stderr {
  // The reader may close its end; that must not end the stack.
  if (!watched) process.stderr.on('error', () => {});
  watched = true;
  return process.stderr;
}
