// Requests to the API of a stack.
import { type Agent, request } from 'node:http';

/** Sends a request to a stack's API; resolves with the response body. Without `agent` it uses a new connection. */
export function callAPI(
  socketPath: string,
  method: string,
  path: string,
  { body, agent = false }: { body?: object | undefined; agent?: Agent | false } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const sent = request({ agent, socketPath, method, path, headers }, async (response) => {
      let text = '';
      for await (const chunk of response) text += String(chunk);
      if ((response.statusCode ?? 500) < 300) resolve(text);
      else reject(new Error(`${method} ${path}: ${text.trim()}`));
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
