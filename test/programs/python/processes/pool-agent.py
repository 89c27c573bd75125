# An agent in a network namespace of its own. It speaks the protocol of the data plane over descriptor 3, and runs what it reads
# from stdin: each line is an expression, whose value is printed as JSON. A test makes it misbehave in that way.
import array, ctypes, fcntl, json, mmap, os, socket, struct, sys, threading, traceback

up = socket.socket(fileno=3)
libc = ctypes.CDLL(None, use_errno=True)
TCP, UDP, MPTCP = 6, 17, 262

def unshare(user=False):
    if libc.unshare(0x40000000 | (0x10000000 if user else 0)) != 0: raise OSError(ctypes.get_errno(), 'unshare')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack('16sH14x', b'lo', 0x41))  # SIOCSIFFLAGS: up, running

def fresh(family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=TCP):
    s = socket.socket(family, kind, protocol)
    s.setblocking(False)
    return s

# Of the host's namespace, made before there is another one; its server says so to whoever reaches it.
of_host = [fresh() for _ in range(64)]
unshare(user=True)

def serve(name, ip='127.0.0.1', port=0):
    """A server that tells each client the name, and the client's address; returns its port."""
    listener = socket.create_server((ip, port), family=socket.AF_INET6 if ':' in ip else socket.AF_INET, backlog=1024)
    def run():
        while True:
            peer, address = listener.accept()
            with peer: peer.sendall(f'{name} {address[0]}\n'.encode())
    threading.Thread(target=run, daemon=True).start()
    return listener.getsockname()[1]

def serve_echo(name):
    """A server that greets as serve() does, and then sends back what it receives, until the client ends."""
    listener = socket.create_server(('127.0.0.1', 0), backlog=1024)
    def echo(peer, address):
        with peer:
            data = f'{name} {address[0]}\n'.encode()
            while data:
                peer.sendall(data)
                data = peer.recv(65536)
    def run():
        while True: threading.Thread(target=echo, args=listener.accept(), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()
    return listener.getsockname()[1]

def serve_apart(name):
    """As serve(), in a process that outlives this one until the test ends (descriptor 4)."""
    r, w = os.pipe()
    if os.fork() == 0:
        up.close()
        os.write(w, str(serve(name)).encode().ljust(8))
        os.read(4, 1)
        os._exit(0)
    return int(os.read(r, 8))

def deaf():
    """The port of a listener whose queue is full: connecting to it takes until undeaf()."""
    listener = socket.create_server(('127.0.0.1', 0), backlog=0)
    for _ in range(2):
        s = fresh()
        s.connect_ex(listener.getsockname())
        fillers.append(s)
    fillers.append(listener)
    return listener.getsockname()[1]

def undeaf(name):
    listener = fillers.pop()
    listener.listen(64)
    def run():
        while True:
            peer, address = listener.accept()
            try: peer.sendall(f'{name} {address[0]}\n'.encode())
            except OSError: pass
            peer.close()
    threading.Thread(target=run, daemon=True).start()

def blocking(s):
    fcntl.fcntl(s, fcntl.F_SETFL, fcntl.fcntl(s, fcntl.F_GETFL) & ~os.O_NONBLOCK)

def listening():
    s = fresh()
    s.listen()
    return s

def bound():
    s = fresh()
    s.bind(('127.0.0.1', 0))
    return s

def connected():
    s = fresh()
    s.connect_ex(('127.0.0.1', others))
    return s

def elsewhere():
    """A socket of a namespace that is neither the host's nor the agent's."""
    made = []
    def run():
        unshare()
        made.append(fresh())
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made[0]

def each(change):
    """Of those that were sent for the pool; some are in use already."""
    for s in given:
        try: change(s)
        except OSError: pass

class State: pass
fillers = []
given = []    # sockets that were sent for the pool, and are kept here
state = State()
state.connects = 0        # connections that were requested
state.routes = 0          # routes
state.batches = 0         # sockets for the pool
state.ips = ['127.0.0.1']
state.per_client = state.keep = state.mark = 0
state.epoch = 1
state.pages = []          # one for each thread of the parent
state.answers = True      # to requests for routes
state.route = None        # where routes lead, if not to the addresses above
make = lambda family, count: [fresh(socket.AF_INET if family == 4 else socket.AF_INET6) for _ in range(count)]
state.make = make
others = serve('other')

def put(name, value):
    setattr(state, name, value)

def advance(current=True):
    """All routes are invalid now, and what is sent from now on too where it is not the `current` one."""
    for page in state.pages: page[0:4] = struct.pack('I', state.epoch + (1 if current else 2))
    if current: state.epoch += 1

def pack(value):
    if isinstance(value, (list, tuple)): return bytes([0x90 | len(value)]) + b''.join(map(pack, value))
    if isinstance(value, str): return bytes([0xa0 | len(value)]) + value.encode() if len(value) < 32 else b'\xd9' + bytes([len(value)]) + value.encode()
    return bytes([value]) if value < 128 else b'\xce' + struct.pack('>I', value)

def unpack(data, at):
    kind = data[at]
    at += 1
    if kind < 0x80: return kind, at
    if kind & 0xf0 == 0x90:
        items = []
        for _ in range(kind & 15):
            item, at = unpack(data, at)
            items.append(item)
        return items, at
    if kind & 0xe0 == 0xa0 or kind in (0xd9, 0xda):
        size = {0xd9: 1, 0xda: 2}.get(kind, 0)
        length = int.from_bytes(data[at:at + size], 'big') if size else kind & 31
        return data[at + size:at + size + length].decode(), at + size + length
    size = {0xcc: 1, 0xcd: 2, 0xce: 4}[kind]
    return int.from_bytes(data[at:at + size], 'big'), at + size

def send(message, sockets=(), to=up):
    fds = array.array('i', [s.fileno() for s in sockets])
    to.sendmsg([pack(message)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if fds else [])

def connect(channel, id, port):
    state.connects += 1
    s = fresh()
    error = s.connect_ex((state.ips[0], port))
    if error == 115: error = s.connect_ex((state.ips[0], port))
    if error in (0, 106): send([2, id], [s], channel)
    else: send([2, id, error, 'as the agent reports it'], to=channel)
    s.close()

def handle(channel, message, fds):
    if message == [8]:
        threading.Thread(target=data_plane, args=(socket.socket(fileno=fds[0]),), daemon=True).start()
        return
    kind, id, *rest = message
    if kind == 1: connect(channel, id, rest[1])
    if kind == 4:
        state.batches += 1
        made = state.make(*rest)
        given.extend(made)
        send([4, id], made, channel)
    if kind == 5:
        state.routes += 1
        if state.answers: send([5, id, state.epoch, state.per_client, state.keep, state.mark,
                                state.ips if state.route is None else state.route], to=channel)
    if kind == 6:
        page = mmap.mmap(fds[0], 4096)
        page[0:4] = struct.pack('I', state.epoch)
        state.pages.append(page)

def data_plane(channel):
    while True:
        data, control, _, _ = channel.recvmsg(65536, 1024)
        if not data: os._exit(0)
        fds = array.array('i')
        for _, _, bytes_ in control: fds.frombytes(bytes_)
        at = 0
        while at < len(data) and data[at] & 0xf0 == 0x90:
            message, at = unpack(data, at)
            handle(channel, message, fds)

threading.Thread(target=data_plane, args=(up,), daemon=True).start()
for line in sys.stdin:
    try: print(json.dumps(eval(line), default=str), flush=True)
    except Exception: print(json.dumps(traceback.format_exc()), flush=True)
