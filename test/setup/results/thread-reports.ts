// What ThreadSanitizer reports, read for what concerns the native part. It sees only calls of the C library in what was not
// compiled for it, Node above all, and so misses how that synchronises: most of what it reports is about Node alone.

/** Libraries below all code, whose frames do not say whose access it was. */
const RUNTIME = /\((?:libtsan|libc|libstdc\+\+|libgcc_s|ld-linux[\w-]*)\.so/;
const ADDON = /\((?:.*\/)?rootless_net\.node\+/;

/** Of each stack of an access, a call or a lock: the first frame that is not of a library; "" where all are. */
function callers(report: string): string[] {
  const found: string[] = [];
  for (const part of report.split(/\n\s*\n/)) {
    const [title = '', ...frames] = part.split('\n').filter((line) => !/^(?:=+|WARNING: .*)?$/.test(line.trim()));
    // Where memory, a mutex or a thread comes from says nothing about the race.
    if (/^ {2}(?:Thread|Location|Mutex|As if|SUMMARY|Hint)\b/.test(title)) continue;
    const stack = frames.filter((line) => /^ {4}#\d+ /.test(line));
    if (stack.length > 0) found.push(stack.find((line) => !RUNTIME.test(line)) ?? '');
  }
  return found;
}

/** The reports in a log of ThreadSanitizer in which each stack that is known is the native part's. */
export function reportsOfAddon(log: string): string[] {
  return log
    .split(/^={18}$/m)
    .filter((report) => report.includes('WARNING: ThreadSanitizer:'))
    .filter((report) => {
      const who = callers(report);
      return who.length > 0 && who.every((frame) => ADDON.test(frame));
    })
    .map((report) => report.trim());
}
