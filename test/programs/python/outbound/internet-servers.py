# The servers of test/support/stacks/internet.ts. Prints "ready" when all listen; ends with its parent.
import hashlib, socket, struct, sys, threading

SIZE = 64 << 20


def pattern():
    # The same bytes each time.
    block = hashlib.sha256(b'source').digest() * 2048
    for i in range(SIZE // len(block)):
        yield block


def read_all(c):
    digest, size = hashlib.sha256(), 0
    while True:
        data = c.recv(1 << 18)
        if not data:
            return digest.hexdigest(), size
        digest.update(data)
        size += len(data)


def echo(c):
    while True:
        data = c.recv(1 << 16)
        if not data:
            return
        c.sendall(data)


def digest(c):
    c.sendall(('%s %d' % read_all(c)).encode())


def source(c):
    for block in pattern():
        c.sendall(block)


def reset(c):
    c.recv(1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


def half_close(c):
    c.sendall(b'all there is')
    c.shutdown(socket.SHUT_WR)
    text = read_all(c)[1]
    print('half-close received %d' % text, file=sys.stderr, flush=True)


def web(c):
    # The first line of what a client sends, which may be anything.
    data = c.recv(1 << 16)
    c.sendall(b'HTTP/1.0 200 OK\r\n\r\nreceived %d bytes' % len(data))


def whoami(c):
    c.sendall(c.getpeername()[0].encode())


def serve(family, address, port, handler):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((address, port))
    s.listen(4096)

    def run(c):
        try:
            with c:
                handler(c)
        except OSError as e:
            print('%d: %s' % (port, e.strerror), file=sys.stderr, flush=True)

    def loop():
        while True:
            c = s.accept()[0]
            threading.Thread(target=run, args=(c,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def serve_udp(family, address, port):
    # From each address that it is asked at, so on one of each.
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, port))

    def loop():
        while True:
            data, client = s.recvfrom(65536)
            s.sendto(data, client)

    threading.Thread(target=loop, daemon=True).start()


PORTS = {7: echo, 8: digest, 19: source, 9: reset, 10: half_close, 11: whoami, 80: web, 443: web, 8080: web}
for family, address in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):
    for port, handler in PORTS.items():
        serve(family, address, port, handler)
for family, address in (
    (socket.AF_INET, '203.0.113.1'),
    (socket.AF_INET, '100.200.0.1'),
    (socket.AF_INET6, '2001:db8:1::1'),
    (socket.AF_INET6, '2a00:1::1'),
):
    serve_udp(family, address, 7)
    serve_udp(family, address, 443)
print('ready', flush=True)
threading.Event().wait()
