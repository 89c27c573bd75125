# Passes listening sockets to a command as a service manager does (sd_listen_fds(3)).
import os, socket, sys
end = sys.argv.index('--')
words, command = sys.argv[1:end], sys.argv[end + 1:]
sockets = []
for kind, host, port in zip(words[::3], words[1::3], words[2::3]):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
    if kind == 'tcp':
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind((host, int(port)))
    if kind == 'tcp':
        s.listen()
    sockets.append(s)
spare = [os.dup(s.fileno()) for s in sockets]
high = [os.dup2(fd, 100 + index) for index, fd in enumerate(spare)]
for index, fd in enumerate(high):
    os.dup2(fd, 3 + index, inheritable=True)
    os.close(fd)
os.closerange(3 + len(high), 100)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=':'.join(['publish'] * len(high)))
os.execv(command[0], command)
