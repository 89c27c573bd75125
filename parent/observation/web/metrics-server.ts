/** `--metrics ADDRESS`: what `GET /metrics` has on the API's socket, for a Prometheus that scrapes over TCP. */
import type { Reply } from '../../api/response.js';
import type { ServedAddress } from '../../stack/options.js';
import { answerText, closeHTTP, listenHTTP } from './http.js';

export interface MetricsServerOptions {
  address: ServedAddress;
  metrics: () => Promise<Reply>;
  log: (line: string) => void;
}

/** Resolves, when it listens, with what ends it. Throws UserError. */
export async function serveMetrics({ address, metrics, log }: MetricsServerOptions): Promise<() => void> {
  const server = await listenHTTP({
    what: 'metrics',
    address,
    log,
    serve: async ({ url = '' }, response) => {
      if (!/^\/metrics(\?|$)/.test(url)) return answerText(response, 404, 'not found; metrics are at /metrics');
      const { text = '', textType } = await metrics();
      answerText(response, 200, text, textType);
    },
  });
  return () => closeHTTP(server);
}
