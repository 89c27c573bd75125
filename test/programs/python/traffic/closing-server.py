# A server that closes each connection at once; its kernel forgets the socket after a second.
import socket
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
while True:
    s = listener.accept()[0]
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)
    s.sendall(b'bye')
    s.close()
