# A server that speaks first, and goes on in TLS when it is asked to (SMTP: RFC 5321, RFC 3207). Arguments: the files of its
# certificate and key. Listens at port 25.
import socket, ssl, sys, threading

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[1:])
REPLIES = {'EHLO': b'250-mail\r\n250 STARTTLS\r\n', 'STARTTLS': b'220 go on\r\n', 'QUIT': b'221 bye\r\n'}


def serve(c):
    c.sendall(b'220 mail\r\n')
    while True:
        words = c.recv(1000).decode().upper().split()
        if not words:
            return
        c.sendall(REPLIES.get(words[0], b'250 ok\r\n'))
        if words[0] == 'STARTTLS':
            c = context.wrap_socket(c, server_side=True)
        elif words[0] == 'QUIT':
            return c.close()


listener = socket.create_server(('', 25))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
