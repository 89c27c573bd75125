/** Times and durations in docker's format. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A duration as in `docker ps`: "5 minutes", "About an hour". @param span in ms */
export function spanText(span: number): string {
  const seconds = Math.floor(span / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < MINUTE) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / MINUTE);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / HOUR);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  const days = Math.floor(seconds / DAY);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.floor(days / 7)} weeks`;
  if (days < 730) return `${Math.floor(days / 30)} months`;
  return `${Math.floor(days / 365)} years`;
}

/** The duration since a time in ISO 8601; zero if the text is not one. */
export function sinceText(moment: string | undefined, now: number): string {
  const then = Date.parse(moment ?? '');
  return spanText(Number.isNaN(then) ? 0 : Math.max(now - then, 0));
}

/** A time in ISO 8601 as Go's time.Time prints it, such as 2026-11-29 09:14:06 +0000 UTC. */
export function momentText(moment: string): string {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return moment;
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}
