# Waits for what an initiator sends, and prints it with its sender.
import socket, sys

kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ':' in host else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((host, port))
s.settimeout(10)
try:
    if kind == 'tcp':
        s.listen()
        s = s.accept()[0]
    print(s.recv(2048).decode(), end='')
except TimeoutError:
    print('silence', end='')
