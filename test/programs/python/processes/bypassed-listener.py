# Prelude: a listening socket for a published port.
import os, select, socket, sys
def listen(port, host='127.0.0.1', before=lambda s: None, backlog=16):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    before(s)
    s.bind((host, port))
    s.listen(backlog)
    return s
def answer(s, text):
    c, _ = s.accept()
    c.sendall(text.encode())
    c.close()
