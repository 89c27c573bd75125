# Sends datagrams as `sizes IP PORT SIZE...` or `errors [IP PORT]...` says, and prints JSON: the sizes that did not return as
# they were sent, from where they were sent to; or the error that each destination is answered with ('' for none).
import errno, json, os, socket, sys

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


mode, *words = sys.argv[1:]
if mode == 'sizes':
    ip, port, *sizes = words
    # Connected: what comes from elsewhere is not received.
    peer = make(ip, ANSWER_SECONDS)
    peer.connect((ip, int(port)))
    print(json.dumps([int(size) for size in sizes if not returns(peer, int(size))]))
else:
    print(json.dumps([error_of(ip, int(port)) for ip, port in zip(words[::2], words[1::2])]))
