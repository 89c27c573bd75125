# A DNS server at 127.0.0.1:53, over UDP and TCP. Its first argument is JSON: names with their records, such as
# {"a.test": ["A 192.0.2.1", "CNAME b.test"]}. Other names do not exist. Ends with its parent.
import ctypes, ipaddress, json, signal, socket, struct, sys, threading

ctypes.CDLL(None).prctl(1, signal.SIGKILL)
RECORDS = json.loads(sys.argv[1])
TYPES = {'A': 1, 'CNAME': 5, 'AAAA': 28}


def wire(name):
    return b''.join(bytes([len(label)]) + label.encode() for label in name.split('.')) + b'\0'


def answer(query):
    end = query.index(b'\0', 12)
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    name, kind = '.'.join(labels), struct.unpack('>H', query[end + 1 : end + 3])[0]
    exists, out = name in RECORDS, []
    while name in RECORDS:
        follow = None
        for record in RECORDS[name]:
            word, value = record.split()
            if word == 'CNAME':
                follow, data = value, wire(value)
            elif TYPES[word] == kind:
                data = ipaddress.ip_address(value).packed
            else:
                continue
            out.append(wire(name) + struct.pack('>HHIH', TYPES[word], 1, 60, len(data)) + data)
        name = follow
    head = query[:2] + struct.pack('>HHHHH', 0x8180 | (0 if exists else 3), 1, len(out), 0, 0)
    return head + query[12 : end + 5] + b''.join(out)


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(('127.0.0.1', 53))
tcp = socket.create_server(('127.0.0.1', 53))


def serve_tcp():
    while True:
        with tcp.accept()[0] as c:
            try:
                (size,) = struct.unpack('>H', c.recv(2, socket.MSG_WAITALL))
                reply = answer(c.recv(size, socket.MSG_WAITALL))
                c.sendall(struct.pack('>H', len(reply)) + reply)
            except (OSError, struct.error):
                pass


threading.Thread(target=serve_tcp, daemon=True).start()
print('ready', flush=True)
while True:
    data, client = udp.recvfrom(4096)
    try:
        udp.sendto(answer(data), client)
    except (IndexError, ValueError):
        pass
