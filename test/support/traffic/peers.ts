// The two ends of a conversation, step by step, as python3 carries it out: sockets as the kernel has them, where Node
// takes a reset that comes with data for an end (libuv, uv__stream_io). Clients may be on another machine.
import { connect } from 'node:net';
import { run } from './run.js';
import type { RunningStack } from './stack.js';
import { waitFor } from './wait-for.js';

/**
 *   send TEXT    fill (until no more goes)   receive COUNT (bytes, in all)   drain (to the end, or an error)
 *   end (one's own side)   reset   await (that there is something to read)   close (with whatever was not read)
 *   hang (read nothing until it breaks)
 */
export type Step =
  | ['send', string]
  | ['receive', number]
  | ['fill' | 'drain' | 'end' | 'reset' | 'await' | 'close' | 'hang'];

/** How it went, from one end. */
export interface End {
  /** What came, where it is short. */
  data: string;
  length: number;
  /** The other side ended its side in order. */
  ended: boolean;
  /** Such as ECONNRESET; `silence` after ten seconds; null where all went well. */
  error: string | null;
  /** Address and port of both ends. */
  own: string;
  peer: string;
}

const PEERS = `
import errno, json, select, socket, struct, sys, threading

def name(address):
    return '%s %d' % (address[0].replace('::ffff:', ''), address[1])

def open_socket(host, kind, source='', port=0):
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(10)
    if source or port:
        s.bind((source, port))
    return s

def fill(s):
    poll = select.poll()
    poll.register(s, select.POLLOUT)
    s.setblocking(False)
    while poll.poll(100):
        try:
            s.send(b'x' * 65536)
        except BlockingIOError:
            pass
    s.settimeout(10)

def hang(s):
    poll = select.poll()
    poll.register(s, 0)
    if not poll.poll(10000):
        raise TimeoutError
    error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, '')

def talk(s, steps):
    got, end = b'', {'ended': False, 'error': None}
    try:
        end['own'] = end['peer'] = ''
        end['own'], end['peer'] = name(s.getsockname()), name(s.getpeername())
        for verb, *words in steps:
            if verb == 'send':
                s.sendall(words[0].encode())
            elif verb == 'end':
                s.shutdown(socket.SHUT_WR)
            elif verb == 'fill':
                fill(s)
            elif verb == 'hang':
                hang(s)
            elif verb == 'await':
                s.recv(1, socket.MSG_PEEK)
            elif verb == 'close':
                s.close()
            elif verb == 'reset':
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                s.close()
            else:
                while verb == 'drain' or len(got) < words[0]:
                    data = s.recv(65536)
                    if not data:
                        end['ended'] = True
                        break
                    got += data
    except TimeoutError:
        end['error'] = 'silence'
    except OSError as error:
        end['error'] = errno.errorcode[error.errno]
    s.close()
    end['data'], end['length'] = got[:100].decode(), len(got)
    return end

def converse(words):
    kind = socket.SOCK_STREAM
    try:
        s = open_socket(words['host'], kind, words.get('from', ''), words.get('fromPort', 0))
        s.connect((words['host'], words['port']))
    except OSError as error:
        return {'data': '', 'length': 0, 'ended': False, 'error': errno.errorcode.get(error.errno, 'silence'), 'own': '', 'peer': ''}
    return talk(s, words['steps'])

def ask(clients, rounds):
    sockets = []
    for client in clients:
        s = open_socket(client['host'], socket.SOCK_DGRAM, client.get('from', ''), client.get('fromPort', 0))
        s.connect((client['host'], client['port']))
        sockets.append(s)
    said = [{'own': name(s.getsockname()), 'answers': []} for s in sockets]
    for number in range(rounds):
        for s in sockets:
            s.send(b'%d' % number)
        for s, words in zip(sockets, said):
            try:
                words['answers'].append(s.recv(65536).decode())
            except TimeoutError:
                words['answers'].append('silence')
    return said

def serve(host, port, steps):
    def one(s):
        s.settimeout(10)
        print(json.dumps(talk(s, steps)), flush=True)
    listener = open_socket(host, socket.SOCK_STREAM, host, port)
    listener.settimeout(None)
    listener.listen(64)
    print('ready', flush=True)
    while True:
        threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

words = json.loads(sys.argv[2])
if sys.argv[1] == 'serve':
    serve(**words)
elif sys.argv[1] == 'ask':
    print(json.dumps(ask(**words)))
else:
    print(json.dumps([converse(one) for one in words]))
`;

const command = (mode: string, words: unknown) => ['python3', '-c', PEERS, mode, JSON.stringify(words)];

/** Runs a program to its end, and resolves to what it said. */
export type Machine = (command: readonly string[]) => Promise<string>;

export const here: Machine = async ([program = '', ...args]) => {
  const { stdout, stderr } = await run(program, args);
  return stdout + stderr;
};

const farSocket = process.env.ROOTLESS_NET_TEST_FAR;

/** Behind a cable (see ../setup/far-machine.ts); undefined where the tests do not run as root. */
export const there: Machine | undefined = farSocket
  ? (words) =>
      new Promise((resolve, reject) => {
        let text = '';
        const socket = connect({ path: farSocket, allowHalfOpen: true }).setEncoding('utf8');
        socket.once('error', reject).write(`${JSON.stringify(words)}\n`);
        socket.on('data', (chunk) => {
          text += chunk;
        });
        socket.once('end', () => {
          socket.end();
          resolve(text.replace(/^pid \d+\n/, ''));
        });
      })
  : undefined;

export interface Asking {
  host: string;
  port: number;
  /** The client's own address and port; the kernel's choice unless told. */
  from?: string;
  fromPort?: number;
}

export interface Conversation extends Asking {
  steps: readonly Step[];
}

/** One after the other; never rejects because of how they go. */
export async function converse(machine: Machine, ...conversations: Conversation[]): Promise<End[]> {
  return JSON.parse(await machine(command('talk', conversations)));
}

/** Clients of UDP with connected sockets, all at once: each sends the number of the round, and waits for an answer. */
export async function askAll(
  machine: Machine,
  clients: readonly Asking[],
  rounds = 1,
): Promise<{ own: string; answers: string[] }[]> {
  return JSON.parse(await machine(command('ask', { clients, rounds })));
}

export interface PeerServer extends AsyncDisposable {
  /** How the next connection went that has come to its end. */
  next(): Promise<End>;
}

/** A server inside that goes through these steps with each client. */
export async function servePeers(
  stack: RunningStack,
  host: string,
  port: number,
  steps: readonly Step[],
): Promise<PeerServer> {
  const started = await stack.inside(command('serve', { host, port, steps }), { output: /^ready$/m });
  let taken = 0;
  const lines = () =>
    started
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'));
  return {
    async next() {
      const line = await waitFor(() => lines()[taken], { what: 'the end of a connection', timeout: 15_000 });
      taken++;
      return JSON.parse(line) as End;
    },
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}
