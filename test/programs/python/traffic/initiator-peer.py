# A client of an initiator that stays, and prints what reaches it.
import socket, sys, time

port, other = int(sys.argv[1]), (sys.argv[2], int(sys.argv[1]))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', port))
s.settimeout(0.2)
answered, received, end, number = '', '', time.monotonic() + 20, 0
while time.monotonic() < end and not (answered and received):
    if not answered:
        number += 1
        s.sendto(b'hello-%d' % number, other)
    try:
        text, sender = s.recvfrom(2048)
    except TimeoutError:
        continue
    if text.startswith(b'hello-'):
        answered = text.decode() + (' from loopback' if sender[0].startswith('127.') else '')
    else:
        received = text.decode()
print('answered: %s\nreceived: %s' % (answered, received))
