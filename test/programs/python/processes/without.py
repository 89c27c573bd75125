"""Runs a program on a kernel that lacks something: python3 -c ... FEATURE[,FEATURE...] PROGRAM [WORD...]

Needs CAP_SYS_ADMIN in its user namespace. System calls of the program, and of all below it, are filtered (seccomp(2)): some
fail; of others this program, beside it, changes what they send to the kernel (netlink(7)) to what no kernel knows, such as
the name of an expression of nf_tables. So the kernel's answer is the one of a kernel without it.
"""
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys

SYSTEM_CALLS = {
    'x86_64': {'socket': 41, 'sendto': 44, 'setsockopt': 54, 'seccomp': 317},
    'aarch64': {'socket': 198, 'sendto': 206, 'setsockopt': 208, 'seccomp': 277},
}[os.uname().machine]
EPERM, EPROTONOSUPPORT, EAFNOSUPPORT, ENOPROTOOPT = 1, 93, 97, 92
AF_INET6, AF_NETLINK, AF_PACKET, NETLINK_NETFILTER, SO_RCVMARK = 10, 16, 17, 12, 75

# What fails: a call, its first arguments (None for any), and the errno.
FAILING = {
    'packet-sockets': [('socket', [AF_PACKET], EPERM)],
    'nf_tables': [('socket', [AF_NETLINK, None, NETLINK_NETFILTER], EPROTONOSUPPORT)],
    'ipv6': [('socket', [AF_INET6], EAFNOSUPPORT)],
    'receive-mark': [('setsockopt', [None, socket.SOL_SOCKET, SO_RCVMARK], ENOPROTOOPT)],
}
# Names in what is sent.
NAMES = {'tproxy': b'tproxy\0', 'nat': b'nat\0', 'veth': b'veth\0'}
RTM_NEWLINK, RTM_NEWADDR, RTM_NEWRULE, IFLA_AF_SPEC = 16, 20, 32, 26
UNKNOWN = 99


def filter_of(features):
    """The classic BPF of the filter."""
    load, equal, at_least, end = 0x20, 0x15, 0x35, 6
    allow, fail, notify = 0x7FFF0000, 0x50000, 0x7FC00000
    code = []
    for name, arguments, error in sum((FAILING.get(feature, []) for feature in features), []):
        checks = [(0, SYSTEM_CALLS[name])] + [(16 + 8 * i, v) for i, v in enumerate(arguments) if v is not None]
        for i, (at, value) in enumerate(checks):
            code += [(load, 0, 0, at), (equal, 0, 2 * (len(checks) - i) - 1, value)]
        code.append((end, 0, 0, fail | error))
    # Of the size that batches of netlink messages have.
    code += [(load, 0, 0, 0), (equal, 0, 4, SYSTEM_CALLS['sendto']), (load, 0, 0, 16 + 8 * 2), (at_least, 2, 0, 8193),
             (at_least, 0, 1, 32), (end, 0, 0, notify), (end, 0, 0, allow)]
    return b''.join(struct.pack('=HBBI', *line) for line in code)


def messages_of(data):
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from('=IH', data, at)
        if length < 16:
            return
        yield at, kind, min(length, len(data) - at)
        at += (length + 3) & ~3


def attributes_of(data, at, end):
    while at + 4 <= end:
        length, kind = struct.unpack_from('=HH', data, at)
        if length < 4:
            return
        yield at, kind & 0x3FFF, length
        at += (length + 3) & ~3


def without_ipv6(data):
    for at, kind, length in messages_of(data):
        if kind in (RTM_NEWADDR, RTM_NEWRULE) and data[at + 16] == AF_INET6:
            data[at + 16] = UNKNOWN
        for outer, name, size in attributes_of(data, at + 32, at + length) if kind == RTM_NEWLINK else ():
            for inner, family, _ in attributes_of(data, outer + 4, outer + size) if name == IFLA_AF_SPEC else ():
                if family == AF_INET6:
                    struct.pack_into('=H', data, inner + 2, UNKNOWN)


def without_rules(data):
    for at, kind, _ in messages_of(data):
        if kind == RTM_NEWRULE:
            data[at + 16] = UNKNOWN


def changed(data, features):
    for feature in features:
        if feature in NAMES:
            data[:] = data.replace(NAMES[feature], NAMES[feature][:-2] + b'?\0')
    if 'ipv6' in features:
        without_ipv6(data)
    if 'policy-routing' in features:
        without_rules(data)


def supervise(listener, features):
    while True:
        notification = bytearray(80)
        try:
            fcntl.ioctl(listener, 0xC0502100, notification)
        except OSError:
            continue
        number, pid = struct.unpack_from('=QI', notification)
        _, address, length = struct.unpack_from('=3Q', notification, 32)
        try:
            with open(f'/proc/{pid}/mem', 'r+b', buffering=0) as memory:
                memory.seek(address)
                data = bytearray(memory.read(length))
                before = bytes(data)
                changed(data, features)
                fcntl.ioctl(listener, 0x40082102, struct.pack('=Q', number))
                if data != before:
                    memory.seek(address)
                    memory.write(data)
        except OSError:
            pass
        try:
            fcntl.ioctl(listener, 0xC0182101, struct.pack('=QqiI', number, 0, 0, 1))
        except OSError:
            pass


features = sys.argv[1].split(',')
libc = ctypes.CDLL(None, use_errno=True)
ours, theirs = socket.socketpair()
own = os.getpid()
if os.fork() == 0:
    libc.prctl(1, signal.SIGKILL)
    if os.getppid() != own:
        os._exit(0)
    theirs.close()
    _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    for fd in range(0, 3):
        os.dup2(os.open(os.devnull, os.O_RDWR), fd)
    supervise(descriptors[0], features)
code = filter_of(features)
program = ctypes.create_string_buffer(code, len(code))
listener = libc.syscall(SYSTEM_CALLS['seccomp'], 1, 8, struct.pack('@HxxxxxxQ', len(code) // 8, ctypes.addressof(program)))
assert listener >= 0, os.strerror(ctypes.get_errno())
socket.send_fds(theirs, [b'.'], [listener])
os.close(listener)
ours.close()
theirs.close()
os.execvp(sys.argv[2], sys.argv[2:])
