# Answers with the name of the server that was reached.
import json, selectors, socket, sys
loop = selectors.DefaultSelector()
for host, port in json.loads(sys.argv[1]):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, kind)
        # So that there can be one on an address and one on every address.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind((host, port))
        if kind == socket.SOCK_STREAM:
            s.listen(64)
        loop.register(s, selectors.EVENT_READ, host.encode())
print('ready', flush=True)
while True:
    for key, _ in loop.select():
        if key.fileobj.type == socket.SOCK_DGRAM:
            key.fileobj.sendto(key.data, key.fileobj.recvfrom(65536)[1])
        else:
            connection = key.fileobj.accept()[0]
            connection.sendall(key.data)
            connection.close()
