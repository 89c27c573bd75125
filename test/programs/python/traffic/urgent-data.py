# Ends of connections that send and receive urgent data (MSG_OOB).
import array, fcntl, select, socket, sys
mode, role, how, host, port = sys.argv[1:]
if role == 'server':
    listener = socket.create_server((host, int(port)))
    print('ready', flush=True)
    s = listener.accept()[0]
else:
    s = socket.create_connection((host, int(port)))
if how == 'line':
    s.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
s.settimeout(10)
poll = select.poll()
poll.register(s, select.POLLIN | select.POLLPRI)

def at_mark():
    mark = array.array('i', [0])
    fcntl.ioctl(s, 0x8905, mark)
    return mark[0]

def receive():
    got, urgent = b'', 0
    while len(got) < 9:
        if not poll.poll(10000):
            return got + b' and silence'
        if how == 'line' and at_mark():
            got += b'[' + s.recv(1) + b']'
        elif how == 'beside' and not urgent and at_mark():
            got += b'[' + s.recv(1, socket.MSG_OOB) + b']'
            urgent = 1
        else:
            got += s.recv(3)
    return got

def send(number):
    s.send(b'abc')
    s.send(b'%d' % number, socket.MSG_OOB)
    s.send(b'def')

for number in (1, 2, 3):
    if role == 'client':
        send(number)
    print(receive().decode(), flush=True)
    if role == 'server':
        send(number)
s.close()
