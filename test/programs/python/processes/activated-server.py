# Prints which sockets it was started with (sd_listen_fds(3)), and answers on each with its number.
import os, select, socket
names = os.environ['LISTEN_FDNAMES'].split(':')
assert int(os.environ['LISTEN_PID']) == os.getpid() and int(os.environ['LISTEN_FDS']) == len(names)
sockets = [socket.socket(fileno=3 + i) for i in range(len(names))]
for name, s in zip(names, sockets): print(name, s.type.name, s.getblocking(), s.getsockname()[1], flush=True)
while True:
    for s in select.select(sockets, [], [])[0]:
        text = f'{s.fileno()} {names[s.fileno() - 3]}'.encode()
        if s.type == socket.SOCK_DGRAM:
            data, who = s.recvfrom(100)
            s.sendto(text, who)
            continue
        try: c, who = s.accept()
        except OSError: sockets.remove(s); continue
        c.sendall(text)
        c.close()
