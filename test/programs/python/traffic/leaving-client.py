# Sends when it is greeted, ends in order, and resets when all has been received: leaving-client.py PORT LENGTH.
import array, fcntl, socket, struct, sys, termios, time
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
# Only a connection that is relayed has a greeting.
assert s.recv(2) == b'go'
def settle():
    unsent = array.array('i', [1])
    while unsent[0]:
        fcntl.ioctl(s, termios.TIOCOUTQ, unsent)
        time.sleep(0.01)
s.sendall(b'x' * int(sys.argv[2]))
settle()
s.shutdown(socket.SHUT_WR)
settle()
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.close()
