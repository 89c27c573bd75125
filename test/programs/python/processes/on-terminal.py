# Runs a command on a pseudo terminal, types when a text appears, and prints what it showed.
import fcntl, json, os, pty, signal, struct, sys, termios
steps, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(command[0], command)
# Its output until then is more informative than the timeout.
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(20)
out = b''
def read():
    global out
    try:
        chunk = os.read(fd, 4096)
    except OSError:
        chunk = b''
    out += chunk
    return chunk
for mark, keys in steps:
    while mark.encode() not in out and read():
        pass
    if isinstance(keys, str):
        os.write(fd, keys.encode())
    else:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', keys['rows'], keys['columns'], 0, 0))
while read():
    pass
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({'code': code, 'output': out.decode().replace('\r', '')}))
