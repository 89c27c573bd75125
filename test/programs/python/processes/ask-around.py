# Asks servers at addresses where none may answer.
import socket, sys, threading
found = []
def ask(kind, address):
    family, _, _, _, to = socket.getaddrinfo(address, 9000, type=kind)[0]
    s = socket.socket(family, kind)
    s.settimeout(1)
    try:
        s.connect(to)
        s.send(b'who')
        if s.recv(100):
            found.append(('tcp ' if kind == socket.SOCK_STREAM else 'udp ') + address)
    except OSError:
        pass
threads = [threading.Thread(target=ask, args=(kind, address)) for address in sys.argv[1:] for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(' '.join(sorted(found)))
