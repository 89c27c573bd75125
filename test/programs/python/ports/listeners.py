# Opens and closes ports as it is told on a UNIX socket: listeners.py PATH. A line each, answered with "ok" or the error:
#   tcp IP PORT, udp IP PORT: listens, and answers with the port (TCP: to a connection, UDP: to a datagram)
#   close PORT, blink PORT COUNT (opens and closes it so often), flood FIRST COUNT, calm (closes all)
import selectors, socket, sys, time
selector = selectors.DefaultSelector()
opened = {}

def listen(kind, ip, port):
    s = socket.socket(socket.AF_INET6 if ':' in ip else socket.AF_INET, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((ip, port))
    if kind == 'tcp': s.listen()
    opened[(kind, port)] = s
    selector.register(s, selectors.EVENT_READ, serve_tcp if kind == 'tcp' else serve_udp)

def close(port):
    for key in [key for key in opened if key[1] == port]:
        s = opened.pop(key)
        selector.unregister(s)
        s.close()

def serve_tcp(s):
    connection, _ = s.accept()
    connection.sendall(b'%d' % s.getsockname()[1])
    connection.close()

def serve_udp(s):
    _, client = s.recvfrom(2048)
    s.sendto(b'%d' % s.getsockname()[1], client)

def order(words):
    if words[0] in ('tcp', 'udp'): listen(words[0], words[1], int(words[2]))
    elif words[0] == 'close': close(int(words[1]))
    elif words[0] == 'blink':
        for _ in range(int(words[2])):
            listen('tcp', '127.0.0.1', int(words[1]))
            close(int(words[1]))
    elif words[0] == 'flood':
        for port in range(int(words[1]), int(words[1]) + int(words[2])): listen('tcp', '127.0.0.1', port)
    elif words[0] == 'calm':
        for _, port in list(opened): close(port)

control = socket.socket(socket.AF_UNIX)
control.bind(sys.argv[1])
control.listen()
print('ready', flush=True)
connection, _ = control.accept()
lines = connection.makefile('r')

def obey(_):
    line = lines.readline()
    if not line: sys.exit(0)
    try:
        order(line.split())
        connection.sendall(b'ok\n')
    except OSError as error:
        connection.sendall(b'%s\n' % str(error).encode())

selector.register(connection, selectors.EVENT_READ, obey)
while True:
    for key, _ in selector.select(): key.data(key.fileobj)
