# Sends datagrams as `sizes IP PORT SIZE...`, `errors [IP PORT]...` or `reporters [IP PORT]...` says, and prints JSON: the
# sizes that did not return as they were sent, from where they were sent to; the error that each destination is answered
# with ('' for none); or the address that reports it.
import errno, json, os, select, socket, sys

ANSWER_SECONDS, ERROR_SECONDS = 5, 3


def make(ip, wait):
    family = socket.AF_INET6 if ':' in ip else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(wait)
    # IP_RECVERR and IPV6_RECVERR: errors that only who asks for them gets.
    level, option = (socket.IPPROTO_IPV6, 25) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 11)
    made.setsockopt(level, option, 1)
    return made


def returns(peer, size):
    data = os.urandom(size)
    try:
        peer.send(data)
        return peer.recv(70000) == data
    except OSError:
        return False


def error_of(ip, port):
    peer = make(ip, ERROR_SECONDS)
    try:
        peer.connect((ip, port))
        peer.send(b'datagram')
        peer.recv(100)
        return 'an answer'
    except socket.timeout:
        return ''
    except OSError as error:
        return errno.errorcode[error.errno]


def reporter_of(ip, port):
    peer = make(ip, 0)
    peer.connect((ip, port))
    peer.send(b'datagram')
    waiting = select.poll()
    waiting.register(peer, 0)
    waiting.poll(ERROR_SECONDS * 1000)
    # MSG_ERRQUEUE. Behind the error (struct sock_extended_err) there is a socket address.
    data = peer.recvmsg(100, 500, 0x2000)[1][0][2][16:]
    at, size = (4, 4) if peer.family == socket.AF_INET else (8, 16)
    return socket.inet_ntop(peer.family, data[at : at + size])


mode, *words = sys.argv[1:]
if mode == 'sizes':
    ip, port, *sizes = words
    # Connected: what comes from elsewhere is not received.
    peer = make(ip, ANSWER_SECONDS)
    peer.connect((ip, int(port)))
    print(json.dumps([int(size) for size in sizes if not returns(peer, int(size))]))
else:
    outcome_of = error_of if mode == 'errors' else reporter_of
    print(json.dumps([outcome_of(ip, int(port)) for ip, port in zip(words[::2], words[1::2])]))
