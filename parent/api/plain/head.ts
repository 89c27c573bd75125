/** The head of a plain request: HTTP/1.1, one of our methods, and no header that changes how the rest is read. */

export interface PlainHead {
  method: string;
  /** As in the request line: path and query. */
  target: string;
  bodyLength: number;
  /** Whether the client wants no other request on the connection. */
  closes: boolean;
}

const REQUEST_LINE = /^(GET|POST|DELETE) (\/[!-~]*) HTTP\/1\.1$/;
const HEADER_LINE = /^([\w-]+):[ \t]*([\t -~]*?)[ \t]*$/;
/** Larger bodies are not read here. */
const BODY_LENGTH = /^\d{1,7}$/;

/** They do not affect how the request is read or answered. */
const IRRELEVANT = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'content-type',
  'sec-fetch-mode',
  'user-agent',
]);

/** @param text up to the empty line, without it. Undefined for everything else, well-formed or not. */
export function parsePlainHead(text: string): PlainHead | undefined {
  const lines = text.split('\r\n');
  const [, method, target] = REQUEST_LINE.exec(lines[0] ?? '') ?? [];
  if (method === undefined || target === undefined) return undefined;
  let hosts = 0;
  let bodyLength: number | undefined;
  let connection: string | undefined;
  for (let at = 1; at < lines.length; at++) {
    const [, name, value] = HEADER_LINE.exec(lines[at] ?? '') ?? [];
    if (name === undefined || value === undefined) return undefined;
    const lowerName = name.toLowerCase();
    if (IRRELEVANT.has(lowerName)) continue;
    if (lowerName === 'host') {
      hosts++;
    } else if (lowerName === 'content-length' && bodyLength === undefined && BODY_LENGTH.test(value)) {
      bodyLength = Number(value);
    } else if (lowerName === 'connection' && connection === undefined && /^(keep-alive|close)$/i.test(value)) {
      connection = value.toLowerCase();
    } else {
      return undefined;
    }
  }
  if (hosts !== 1) return undefined;
  return { method, target, bodyLength: bodyLength ?? 0, closes: connection === 'close' };
}
