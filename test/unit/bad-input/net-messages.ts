// Parts of messages that many rows of rootless-net have.
export const NAME = 'not a name: letters, digits, _ . - are allowed, with a letter or digit first, 128 at most';
export const PUBLISH =
  '; expected [ip:][hostPort[-range]:]containerPort[-range][/tcp|udp], such as 127.0.0.1:8080:80/tcp';
