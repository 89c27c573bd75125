# Prelude: sockets that are passed to another process and are then changed.
import array, fcntl, os, socket, struct, sys, threading, time
up = socket.socket(fileno=3)
sockets = []
def send(s):
    up.sendmsg([b'\x81\xa4type\xa3log'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [s.fileno()]))])
def tcp(count, port):
    for _ in range(count): sockets.append(socket.create_connection(('127.0.0.1', port)))
def blocking(s, on=True):
    flags = fcntl.fcntl(s, fcntl.F_GETFL)
    fcntl.fcntl(s, fcntl.F_SETFL, flags & ~os.O_NONBLOCK if on else flags | os.O_NONBLOCK)
def linger(s): s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 600))
