"""The parent's side of a gateway namespace: its sockets are the descriptors from 3 on, in the order of struct gateway.

Words: paths of the child's user namespace and network namespace, index of the gateway's device. Prints a JSON object.
"""
import fcntl
import json
import socket
import struct
import subprocess
import sys

USER_NAMESPACE, CHILD, INDEX = sys.argv[1], sys.argv[2], int(sys.argv[3])
SIOCGSKNS, TIMEOUT = 0x894C, 20
LISTENER_PORT, SO_ORIGINAL_DST, IP_PKTINFO = 1, 80, 8
NAMES = ['packet-in', 'packet-out', 'tcp4', 'udp4', 'tcp6', 'udp6']
sockets = {name: socket.socket(fileno=3 + i) for i, name in enumerate(NAMES)}
for sock in sockets.values():
    sock.settimeout(TIMEOUT)
FAMILIES = {4: (socket.AF_INET, '198.51.100.7'), 6: (socket.AF_INET6, '2001:db8::7')}


def address_of(kind, sockaddr):
    at, size = (4, 4) if kind == socket.AF_INET else (8, 16)
    return [socket.inet_ntop(kind, sockaddr[at:at + size]), struct.unpack('!H', sockaddr[2:4])[0]]


def inside(command, net=CHILD, **options):
    """Starts a program in the child's user namespace, and in that network namespace."""
    enter = ['nsenter', f'--user={USER_NAMESPACE}', f'--net={net}', '--preserve-credentials']
    return subprocess.Popen(enter + command, stdout=subprocess.PIPE, text=True, **options)


def python(code, *words):
    return inside(['python3', '-c', code, *words])


def checksum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def inject(frame):
    """Sends a held SYN on to lo; its checksum is only that of the pseudo header so far."""
    if frame[12:14] == b'\x08\x00':
        start = 14 + (frame[14] & 15) * 4
        addresses = frame[26:34]
    else:
        start, addresses = 54, frame[22:54]
    segment = bytearray(frame[start:])
    segment[16:18] = b'\0\0'
    pseudo = addresses + struct.pack('!II', len(segment), socket.IPPROTO_TCP)
    segment[16:18] = struct.pack('!H', checksum(pseudo + bytes(segment)))
    ethernet = bytes(12) + frame[12:14]
    # After an empty struct virtio_net_hdr. The name of the device is looked up in the socket's namespace.
    sockets['packet-out'].sendto(bytes(10) + ethernet + frame[14:start] + bytes(segment), ('lo', 0))


CONNECT = """
import socket, sys
with socket.create_connection((sys.argv[1], 80), 20) as sock:
    sock.sendall(b'from inside')
    print(sock.recv(100).decode())
"""


def tcp(family):
    remote = FAMILIES[family][1]
    client = python(CONNECT, remote)
    frame = sockets['packet-in'].recv(65536)
    inject(frame)
    connection, peer = sockets[f'tcp{family}'].accept()
    connection.settimeout(TIMEOUT)
    received = connection.recv(100).decode()
    connection.sendall(b'from outside')
    answer = client.communicate()[0].strip()
    destination = connection.getsockname()[:2]
    if destination[1] == LISTENER_PORT:
        kind, level = (socket.AF_INET, socket.SOL_IP) if family == 4 else (socket.AF_INET6, socket.IPPROTO_IPV6)
        destination = address_of(kind, connection.getsockopt(level, SO_ORIGINAL_DST, 28))
    return {'destination': destination, 'source': peer[0], 'received': received, 'answer': answer}


SEND = """
import socket, sys
sock = socket.socket(int(sys.argv[1]), socket.SOCK_DGRAM)
sock.sendto(b'datagram', (sys.argv[2], 53))
"""


def udp(family):
    kind, remote = FAMILIES[family]
    client = python(SEND, str(int(kind)), remote)
    data, control, _, peer = sockets[f'udp{family}'].recvmsg(65536, 1024)
    client.communicate()
    control = {(level, name): value for level, name, value in control}
    if (socket.SOL_SOCKET, socket.SO_MARK) in control:
        port = struct.unpack('!H', control[socket.SOL_SOCKET, socket.SO_MARK][:2])[0]
        info = control.get((socket.SOL_IP, IP_PKTINFO)) or control[socket.IPPROTO_IPV6, socket.IPV6_PKTINFO]
        destination = [socket.inet_ntop(kind, info[4:8] if family == 4 else info[:16]), port]
    else:
        destination = address_of(kind, *control.values())
    return {'destination': destination, 'source': peer[0], 'data': data.decode()}


FRAMES = """
import socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
for frame in sys.argv[1:]:
    sock.sendto(bytes.fromhex(frame), ('eth0', 0))
"""


def ipv4(protocol, payload, options=b'', fragment=0):
    length = 20 + len(options)
    head = struct.pack('!BBHHHBBH', 0x40 | length // 4, 0, length + len(payload), 1, fragment, 64, protocol, 0)
    addresses = socket.inet_aton('10.0.2.100') + socket.inet_aton('198.51.100.7')
    return ethernet(0x0800) + head + addresses + options + payload


def ipv6(protocol, payload):
    addresses = socket.inet_pton(socket.AF_INET6, 'fd00::100') + socket.inet_pton(socket.AF_INET6, '2001:db8::7')
    return ethernet(0x86DD) + struct.pack('!IHBB', 6 << 28, len(payload), protocol, 64) + addresses + payload


def ethernet(kind):
    return bytes.fromhex('52550a000202') + bytes.fromhex('52550a000264') + struct.pack('!H', kind)


def segment(flags, port):
    return struct.pack('!HHIIBBHHH', 1000, port, 1, 0, 5 << 4, flags, 1000, 0, 0)


def passed():
    """Which of some frames pass the filter of packet-in: their names, in this order."""
    syn, ack, rst, ecn = 0x02, 0x10, 0x04, 0xC0
    frames = {
        'SYN': ipv4(6, segment(syn, 1)),
        'SYN with options of IP': ipv4(6, segment(syn, 2), options=b'\x01' * 8),
        'SYN with ECN': ipv4(6, segment(syn | ecn, 3)),
        'SYN+ACK': ipv4(6, segment(syn | ack, 4)),
        'SYN+RST': ipv4(6, segment(syn | rst, 5)),
        'data': ipv4(6, segment(ack, 6) + b'data'),
        'fragment': ipv4(6, segment(syn, 7), fragment=0x2000),
        'last fragment': ipv4(6, segment(syn, 8), fragment=1),
        'short': ipv4(6, b'')[:-1],
        'UDP': ipv4(17, struct.pack('!HHHH', 2, 2, 8, 0)),
        'echo request': ipv4(1, b'\x08\0' + bytes(6)),
        'echo reply': ipv4(1, b'\0\0' + bytes(6)),
        'SYN over IPv6': ipv6(6, segment(syn, 9)),
        'SYN+ACK over IPv6': ipv6(6, segment(syn | ack, 10)),
        'echo request over IPv6': ipv6(58, b'\x80\0' + bytes(6)),
        'neighbour solicitation': ipv6(58, b'\x87\0' + bytes(22)),
        'end': ipv4(6, segment(syn, 999)),
    }
    sender = python(FRAMES, *(frame.hex() for frame in frames.values()))
    names = []
    while 'end' not in names:
        seen = sockets['packet-in'].recv(65536)
        names += [name for name, frame in frames.items() if frame == seen] or [seen.hex()]
    sender.communicate()
    return names


def show(command, net=CHILD):
    return inside(['sh', '-c', command], net=net, pass_fds=[own]).communicate()[0]


own = fcntl.ioctl(sockets['packet-in'], SIOCGSKNS)
report = {f'tcp{family}': tcp(family) for family in (4, 6)}
report |= {f'udp{family}': udp(family) for family in (4, 6)}
report['passed'] = passed()
report['child'] = show('ip addr show eth0; ip neigh; ip -6 neigh; ip route; ip -6 route')
report['gateway'] = show('ip addr; ip rule; ip -6 rule; nft list ruleset', f'/proc/self/fd/{own}')
report['index'] = [sockets['packet-in'].getsockname()[0], INDEX]
json.dump(report, sys.stdout)
