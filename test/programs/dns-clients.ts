// dns-clients SERVER NAME CLIENTS STOP: so many clients ask for a name's address, each again as soon as it has an answer, until the
// file STOP is there. Prints "begun" after the first answers, and at the end how many each client had, and how often it had to ask
// again: a client does that after 5 seconds, as resolvers do (resolv.conf(5)).
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';

const RETRY_MS = 5000;

const [server = '', name = '', count = '1', stop = ''] = process.argv.slice(2);
const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
const question = Buffer.concat([...labels, Buffer.from([0, 0, 1, 0, 1])]);

interface Outcome {
  answers: number;
  retries: number;
  /** Answers without an address. */
  wrong: number;
}

let ended = false;
setInterval(() => {
  ended = existsSync(stop);
}, 50).unref();

function ask(): Promise<Outcome> {
  const outcome: Outcome = { answers: 0, retries: 0, wrong: 0 };
  const socket = createSocket('udp4');
  let id = 0;
  let timer: NodeJS.Timeout | undefined;
  return new Promise((resolve, reject) => {
    const send = () => {
      socket.send(Buffer.concat([Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), question]));
      timer = setTimeout(() => {
        outcome.retries++;
        send();
      }, RETRY_MS);
    };
    const next = () => {
      id = (id + 1) & 0xffff;
      send();
    };
    socket.on('error', reject);
    socket.on('message', (message) => {
      if (message.length < 12 || message.readUInt16BE(0) !== id) return;
      clearTimeout(timer);
      outcome.answers++;
      if (message.readUInt16BE(6) === 0) outcome.wrong++;
      if (!ended) return next();
      socket.close();
      resolve(outcome);
    });
    socket.connect(53, server, next);
  });
}

const asking = Array.from({ length: Number(count) }, ask);
setTimeout(() => process.stdout.write('begun\n'), 100);
process.stdout.write(`${JSON.stringify(await Promise.all(asking))}\n`);
