# Servers on many ports that answer with the address of their client: peer-seers.py FAMILIES:PORT[-PORT]…
import selectors, socket, sys

def name(address):
    return ('%s %d' % (address[0].replace('::ffff:', ''), address[1])).encode()

selector = selectors.DefaultSelector()
for spec in sys.argv[1:]:
    families, ports = spec.split(':')
    first, last = (ports + '-' + ports).split('-')[:2]
    for port in range(int(first), int(last) + 1):
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            s = socket.socket(socket.AF_INET if families == '4' else socket.AF_INET6, kind)
            if kind == socket.SOCK_STREAM:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if families != '4':
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, families == '6')
            s.bind(('' if families == '4' else '::', port))
            if kind == socket.SOCK_STREAM:
                s.listen(64)
            selector.register(s, selectors.EVENT_READ, kind)
open('/tmp/ready', 'w').close()
while True:
    for key, _ in selector.select():
        if key.data == socket.SOCK_STREAM:
            connection, client = key.fileobj.accept()
            connection.sendall(name(client))
            connection.close()
        else:
            data, client = key.fileobj.recvfrom(2048)
            key.fileobj.sendto(name(client), client)
