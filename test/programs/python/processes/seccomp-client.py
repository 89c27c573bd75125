# Prelude: system calls by number, and a server with one connection, for programs that try to leave their network.
import ctypes, errno, os, socket, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
port, secret, outside = [int(word) for word in sys.argv[1:4]]
LOOPBACK = ('127.0.0.1', secret)
def raw(family, port=0, ip='127.0.0.1'):
    return struct.pack('=H', family) + struct.pack('!H', port) + socket.inet_aton(ip) + bytes(8)
def call(result):
    return 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
def attempt(f):
    try: f(); return 'ok'
    except OSError as e: return errno.errorcode[e.errno]
def dissolve(s):
    return call(libc.connect(s.fileno(), raw(socket.AF_UNSPEC), 16))
def report(*words): print(*words, flush=True)
s = socket.socket()
s.bind(('127.0.0.1', port))
s.listen()
report('ready')
c, _ = s.accept()
