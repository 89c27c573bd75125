# Serves UDP and TCP on one port, and sends from that port what clients order: initiator.py HOST PORT.
import socket, sys, threading

host, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ':' in host else socket.AF_INET

def tcp():
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind((host, port))
    s.settimeout(5)
    return s

def name(address):
    return ('%s %d' % (address[0].replace('::ffff:', ''), address[1])).encode()

def serve(listener):
    while True:
        connection, client = listener.accept()
        connection.sendall(name(client))
        connection.close()

def connect(to, text):
    s = tcp()
    s.connect(to)
    s.sendall(text)
    s.close()

def mapped(to):
    return ('::ffff:' if family == socket.AF_INET6 and ':' not in to else '') + to

listener = tcp()
listener.settimeout(None)
listener.listen()
threading.Thread(target=serve, args=(listener,), daemon=True).start()
udp = socket.socket(family, socket.SOCK_DGRAM)
udp.bind((host, port))
sent, stray = set(), []
print('ready', flush=True)
while True:
    data, sender = udp.recvfrom(2048)
    words = data.split(b' ')
    if data in sent:
        stray.append('%s from %s' % (data.decode(), sender[0]))
        continue
    if words[0] == b'send':
        to, text = (mapped(words[2].decode()), int(words[3])), words[4]
        data = b'sent'
        try:
            if words[1] == b'udp':
                sent.add(text)
                udp.sendto(text, to)
            else:
                connect(to, text)
        except OSError as error:
            data = str(error).encode()
    elif data == b'stray':
        data = '; '.join(stray).encode()
    elif data == b'who':
        data = name(sender)
    udp.sendto(data, sender)
