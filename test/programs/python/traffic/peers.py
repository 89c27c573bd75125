# Both ends of a conversation, step by step; see test/support/traffic/peers.ts.
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

def peer_of(s):
    try:
        return name(s.getpeername())
    except OSError:
        # The reset was faster; the next call reports it.
        return ''

def talk(s, steps):
    got, end = b'', {'ended': False, 'error': None, 'own': '', 'peer': ''}
    try:
        end['own'], end['peer'] = name(s.getsockname()), peer_of(s)
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
    replies = [{'own': name(s.getsockname()), 'answers': []} for s in sockets]
    for number in range(rounds):
        for s in sockets:
            s.send(b'%d' % number)
        for s, words in zip(sockets, replies):
            try:
                words['answers'].append(s.recv(65536).decode())
            except TimeoutError:
                words['answers'].append('silence')
    return replies

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
