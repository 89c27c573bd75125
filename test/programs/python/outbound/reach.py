# Tries each of its arguments (tcp|udp ADDRESS PORT) at once, and prints what comes of it as JSON: "ok", an errno's name, or
# "time-out" after two seconds, three times: kernels limit the rate of ICMP errors.
import errno, json, socket, sys, threading


def attempt(kind, address, port):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        try:
            s.connect((address, int(port)))
            if kind == 'udp':
                s.send(b'hello')
                return 'ok' if s.recv(100) == b'hello' else 'other'
            return 'ok'
        except socket.timeout:
            return 'time-out'
        except OSError as e:
            return errno.errorcode[e.errno]


words = sys.argv[1:]
results = [None] * (len(words) // 3)


def run(i):
    for _ in range(3):
        results[i] = attempt(*words[3 * i : 3 * i + 3])
        if results[i] != 'time-out':
            return


threads = [threading.Thread(target=run, args=(i,)) for i in range(len(results))]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(json.dumps(results))
