# UDP clients that each ask once, from a port of their own: one-shot-clients.py HOST PORT COUNT.
import socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print('ready', flush=True)
for number in range(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('127.1.%d.%d' % (number // 250 % 250, 1 + number % 250), 0))
    s.sendto(b'question', (host, port))
    s.close()
print('done', flush=True)
