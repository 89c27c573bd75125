# Clients that compare what a server sees with what they are: peer-askers.py HOST FIRST COUNT SECONDS KINDS.
import json, socket, sys, time

host, first, count, seconds, kinds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
family = socket.AF_INET6 if ':' in host else socket.AF_INET
end = time.monotonic() + seconds

def name(s):
    own = s.getsockname()
    return '%s %d' % (own[0], own[1])

def ask(kind, port):
    s = socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
    s.settimeout(2 if kind == 'tcp' else 0.5)
    try:
        s.connect((host, port))
        if kind == 'udp':
            s.send(b'who')
        seen = s.recv(200).decode()
        return seen and (seen, name(s))
    except OSError:
        return None
    finally:
        s.close()

wrong, answered = [], 0
for kind in kinds.split(','):
    left = list(range(first, first + count))
    while left and time.monotonic() < end:
        again = []
        for port in left:
            found = ask(kind, port)
            if not found:
                again.append(port)
                if len(again) % 50 == 0:
                    time.sleep(0.01)
                continue
            answered += 1
            if found[0] != found[1]:
                wrong.append([kind, port, *found])
        left = again
print(json.dumps({'answered': answered, 'wrong': wrong[:10], 'wrongs': len(wrong)}))
