// Requests that are refused, each with the status and the body of the answer. 127.0.0.1:8080 is published.
import type { Row } from './row.js';

const NAME = 'is not a name: letters, digits, _ . - are allowed, with a letter or digit first, 128 at most';

export const API_ROWS: readonly Row[] = [
  ['POST /v1/ports ', 400, '{"message":"request body is empty; expected a JSON object","code":"invalid"}'],
  [
    'POST /v1/ports {',
    400,
    '{"message":"request body is not JSON: Expected property name or \'}\' in JSON at position 1","code":"invalid"}',
  ],
  ['POST /v1/ports []', 400, '{"message":"the list of ports is empty","code":"port"}'],
  [
    'POST /v1/ports [{"proto":"tcp","parentPort":9090,"childPort":90},[]]',
    400,
    '{"message":"invalid port: [] is not an object with proto, parentPort and childPort (entry 2 of 2; none was added)","code":"invalid-port","field":"1"}',
  ],
  [
    'POST /v1/ports [{"proto":"tcp","parentPort":9090,"childPort":90,"chidIP":"1.1.1.1"}]',
    400,
    '{"message":"invalid port: unknown key \\"chidIP\\"; there are proto, parentIP, parentPort, childPort, childIP, count, proxyProtocol (entry 1 of 1; none was added)","code":"invalid-port","field":"0"}',
  ],
  [
    'POST /v1/ports [{"proto":"tcp","parentPort":9090,"childPort":90},{"proto":"tcp","parentIP":"127.0.0.1","parentPort":8080,"childPort":80}]',
    400,
    '{"message":"conflict with ID 1 (entry 2 of 2, 127.0.0.1:8080:80/tcp; none was added)","code":"port-conflict","hint":"127.0.0.1:8080/tcp is published already; rootlessctl remove-ports 1 removes it","field":"1"}',
  ],
  ['DELETE /v1/ports?ids=', 400, '{"message":"bad id : neither a number nor a range, such as 1-1000","code":"port"}'],
  [
    'DELETE /v1/ports?ids=1,x',
    400,
    '{"message":"bad id x: neither a number nor a range, such as 1-1000","code":"port"}',
  ],
  ['DELETE /v1/ports?ids=2-1', 400, '{"message":"bad ids 2-1: the range is reversed","code":"port"}'],
  ['DELETE /v1/ports?ids=1-3,2', 400, '{"message":"id 2 is given twice","code":"port"}'],
  ['DELETE /v1/ports?ids=1-999999', 400, '{"message":"unknown id: 2; none was removed","code":"no-such-port"}'],
  [
    'POST /v1/ports "x"',
    400,
    '{"message":"invalid port: \\"x\\" is not an object with proto, parentPort and childPort","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports null',
    400,
    '{"message":"invalid port: null is not an object with proto, parentPort and childPort","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {}',
    400,
    '{"message":"invalid port \\"0:0/\\": unknown proto \\"\\"; expected one of tcp, tcp4, tcp6, udp, udp4, udp6","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentPort":9090,"childPort":90,"chidIP":"1.1.1.1"}',
    400,
    '{"message":"invalid port: unknown key \\"chidIP\\"; there are proto, parentIP, parentPort, childPort, childIP, count, proxyProtocol","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"icmp","parentPort":9090,"childPort":90}',
    400,
    '{"message":"invalid port \\"9090:90/icmp\\": unknown proto \\"icmp\\"; expected one of tcp, tcp4, tcp6, udp, udp4, udp6","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"sctp","parentPort":9090,"childPort":90}',
    400,
    '{"message":"unsupported port protocol sctp","code":"port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentPort":"9090","childPort":90}',
    400,
    '{"message":"invalid port: parentPort \\"9090\\" is not a whole number","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentPort":9090.5,"childPort":90}',
    400,
    '{"message":"invalid port: parentPort 9090.5 is not a whole number","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentPort":99999,"childPort":90}',
    400,
    '{"message":"invalid port \\"99999:90/tcp\\": parent port 99999 is not between 0 and 65535","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentPort":-1,"childPort":90}',
    400,
    '{"message":"invalid port \\"-1:90/tcp\\": parent port -1 is not between 0 and 65535","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentPort":9090}',
    400,
    '{"message":"invalid port \\"9090:0/tcp\\": child port 0 is not between 1 and 65535","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentIP":"localhost","parentPort":9090,"childPort":90}',
    400,
    '{"message":"invalid port \\"localhost:9090:90/tcp\\": parent IP \\"localhost\\" is not an IP address","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentIP":1,"parentPort":9090,"childPort":90}',
    400,
    '{"message":"invalid port: parentIP 1 is not a string","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp6","parentIP":"127.0.0.1","parentPort":9090,"childPort":90}',
    400,
    '{"message":"invalid port \\"127.0.0.1:9090:90/tcp6\\": no suitable address found: tcp6 cannot listen on the IPv4 address 127.0.0.1","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentPort":9090,"childPort":90,"childIP":"x"}',
    400,
    '{"message":"invalid port \\"9090:x:90/tcp\\": child IP \\"x\\" is not an IP address","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentPort":9090,"childPort":90,"proxyProtocol":3}',
    400,
    '{"message":"invalid port: proxyProtocol 3 is not 1 or 2","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"udp","parentPort":9090,"childPort":90,"proxyProtocol":1}',
    400,
    '{"message":"invalid port \\"9090:90/udp+proxy1\\": the PROXY protocol is for TCP","code":"invalid-port"}',
  ],
  [
    'POST /v1/ports {"proto":"tcp","parentIP":"127.0.0.1","parentPort":8080,"childPort":80}',
    400,
    '{"message":"conflict with ID 1","code":"port-conflict","hint":"127.0.0.1:8080/tcp is published already; rootlessctl remove-ports 1 removes it"}',
  ],
  [
    'POST /v1/ports?persist=true {"proto":"tcp","parentPort":9090,"childPort":90}',
    400,
    '{"message":"this stack does not keep ports; start one that does with: rootless-run serve","code":"port"}',
  ],
  ['DELETE /v1/ports/x', 400, '{"message":"bad id x: not a number","code":"port"}'],
  ['DELETE /v1/ports/7', 400, '{"message":"unknown id: 7","code":"no-such-port"}'],
  ['DELETE /v1/ports', 405, ''],
  ['PUT /v1/ports {}', 405, ''],
  ['GET /v1/events', 426, '{"message":"expected a WebSocket","code":"not-a-websocket"}'],
  ['GET /v1/programs', 426, '{"message":"expected a WebSocket","code":"not-a-websocket"}'],
  ['GET /v1/nothing', 404, '404 page not found'],
  ['GET /', 404, '404 page not found'],
  [
    'POST /v1/containers {',
    400,
    '{"message":"the request is not JSON: Expected property name or \'}\' in JSON at position 1","code":"container"}',
  ],
  ['POST /v1/containers []', 400, '{"message":"[] is not an object","code":"invalid"}'],
  [
    'POST /v1/containers {}',
    400,
    '{"message":"a container needs either a root file system (--rootfs) or an OCI bundle (--bundle)","code":"invalid"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/"}',
    400,
    '{"message":"no command: name the program to run after --, or use --bundle","code":"invalid"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","bundle":"/","command":["true"]}',
    400,
    '{"message":"a container needs either a root file system (--rootfs) or an OCI bundle (--bundle)","code":"invalid"}',
  ],
  [
    'POST /v1/containers {"rootfs":"relative","command":["true"]}',
    400,
    '{"message":"rootfs: \\"relative\\" is not an absolute path","code":"invalid","field":"rootfs"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":[]}',
    400,
    '{"message":"command: the command is empty","code":"invalid","field":"command"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":"true"}',
    400,
    '{"message":"command: \\"true\\" is not an array","code":"invalid","field":"command"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"publsh":[]}',
    400,
    '{"message":"unknown key \\"publsh\\"","code":"invalid"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"publish":[{"containerPort":80}]}',
    400,
    '{"message":"publish.0.hostIP: it is missing","code":"invalid","field":"publish.0.hostIP"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"publish":[{"hostIP":"x","hostPort":80,"containerPort":80,"protocol":"tcp"}]}',
    400,
    '{"message":"publish.0.hostIP: \\"x\\" is not an IP address without a zone, or empty for all","code":"invalid","field":"publish.0.hostIP"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"publish":[{"hostIP":"","hostPort":80,"containerPort":0,"protocol":"tcp"}]}',
    400,
    '{"message":"publish.0.containerPort: 0 is too small, 1 is the least","code":"invalid","field":"publish.0.containerPort"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"publish":[{"hostIP":"","hostPort":99999,"containerPort":80,"protocol":"tcp"}]}',
    400,
    '{"message":"publish.0.hostPort: 99999 is too large, 65535 is the most","code":"invalid","field":"publish.0.hostPort"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"publish":[{"hostIP":"","hostPort":80,"containerPort":80,"protocol":"icmp"}]}',
    400,
    '{"message":"publish.0.protocol: \\"icmp\\" is not one of tcp, udp","code":"invalid","field":"publish.0.protocol"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"publish":[{"hostIP":"","hostPort":80,"containerPort":80,"protocol":"tcp","x":1}]}',
    400,
    '{"message":"publish.0: unknown key \\"x\\"","code":"invalid","field":"publish.0"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"network":{"mode":"weird"}}',
    400,
    '{"message":"network.mode: expected an object whose mode is networks, host, none, container or ns","code":"invalid","field":"network.mode"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"network":"bridge"}',
    400,
    '{"message":"network: expected an object whose mode is networks, host, none, container or ns","code":"invalid","field":"network"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"network":{"mode":"networks","networks":[{"network":"a","ip":"x"}]}}',
    400,
    '{"message":"network.networks.0.ip: \\"x\\" is not an IPv4 address","code":"invalid","field":"network.networks.0.ip"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"network":{"mode":"networks","networks":[{"network":"a","ipv4":"1.1.1.1"}]}}',
    400,
    '{"message":"network.networks.0: unknown key \\"ipv4\\"","code":"invalid","field":"network.networks.0"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"network":{"mode":"host","path":"/x"}}',
    400,
    '{"message":"network: unknown key \\"path\\"","code":"invalid","field":"network"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"tty":"yes"}',
    400,
    '{"message":"tty: \\"yes\\" is not true or false","code":"invalid","field":"tty"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"env":["x"]}',
    400,
    '{"message":"env.0: \\"x\\" is not of the form NAME=value","code":"invalid","field":"env.0"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"env":"A=1"}',
    400,
    '{"message":"env: \\"A=1\\" is not an array","code":"invalid","field":"env"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"labels":{"a":1}}',
    400,
    '{"message":"labels.a: 1 is not a string","code":"invalid","field":"labels.a"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"pidsLimit":0}',
    400,
    '{"message":"pidsLimit: the limit of processes has to be at least 1, or -1 for none","code":"invalid","field":"pidsLimit"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"log":{"maxSize":0,"maxFiles":1}}',
    400,
    '{"message":"log.maxSize: 0 is too small, 1 is the least","code":"invalid","field":"log.maxSize"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"dns":["x"]}',
    400,
    '{"message":"dns.0: \\"x\\" is not an IP address","code":"invalid","field":"dns.0"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"user":"a b"}',
    400,
    '{"message":"user: \\"a b\\" is not a user: USER or USER:GROUP, by names or numbers","code":"invalid","field":"user"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"ulimits":[{"name":"x","soft":1,"hard":1}]}',
    400,
    '{"message":"ulimits.0.name: \\"x\\" is not one of core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack","code":"invalid","field":"ulimits.0.name"}',
  ],
  [
    'POST /v1/containers {"rootfs":"/","command":["true"],"restart":{"policy":"sometimes"}}',
    400,
    '{"message":"restart.policy: \\"sometimes\\" is not one of no, on-failure, always, unless-stopped","code":"invalid","field":"restart.policy"}',
  ],
  ['GET /v1/containers/nobody', 404, '{"message":"no such container: nobody","code":"no-such-container"}'],
  ['DELETE /v1/containers/nobody', 404, '{"message":"no such container: nobody","code":"no-such-container"}'],
  ['POST /v1/containers/nobody/start', 404, '{"message":"no such container: nobody","code":"no-such-container"}'],
  [
    'POST /v1/containers/nobody/stop?timeout=x',
    400,
    '{"message":"invalid timeout x: expected a number of seconds","code":"container"}',
  ],
  [
    'POST /v1/containers/nobody/kill?signal=FOO',
    400,
    '{"message":"unknown signal \\"FOO\\": expected a name such as TERM or SIGTERM, or a number","code":"container"}',
  ],
  ['POST /v1/containers/nobody/rename?name=a%20b', 400, `{"message":"\\"a b\\" ${NAME}","code":"invalid"}`],
  [
    'POST /v1/containers/nobody/exec {"command":[]}',
    400,
    '{"message":"command: the command is empty","code":"invalid","field":"command"}',
  ],
  [
    'POST /v1/containers/nobody/exec {"command":["true"],"cwd":"x"}',
    400,
    '{"message":"cwd: \\"x\\" is not an absolute path","code":"invalid","field":"cwd"}',
  ],
  [
    'POST /v1/containers/nobody/exec {"command":["true"],"foo":1}',
    400,
    '{"message":"unknown key \\"foo\\"","code":"invalid"}',
  ],
  [
    'POST /v1/containers/nobody/exec {"command":["true"]}',
    404,
    '{"message":"no such container: nobody","code":"no-such-container"}',
  ],
  [
    'POST /v1/containers/nobody/fly',
    404,
    '{"message":"the API has no POST /v1/containers/nobody/fly","code":"container"}',
  ],
  [
    'GET /v1/containers/%',
    404,
    '{"message":"invalid path /v1/containers/%: \\"%\\" must begin an escape, such as %20","code":"container"}',
  ],
  ['POST /v1/networks {}', 400, '{"message":"name: it is missing","code":"invalid","field":"name"}'],
  ['POST /v1/networks {"name":"a b"}', 400, `{"message":"name: \\"a b\\" ${NAME}","code":"invalid","field":"name"}`],
  [
    'POST /v1/networks {"name":"a","subnet":"10.0.0.0/24"}',
    400,
    '{"message":"unknown key \\"subnet\\"","code":"invalid"}',
  ],
  [
    'POST /v1/networks {"name":"a","subnets":"10.0.0.0/24"}',
    400,
    '{"message":"subnets: \\"10.0.0.0/24\\" is not an array","code":"invalid","field":"subnets"}',
  ],
  [
    'POST /v1/networks {"name":"a","gateways":["x"]}',
    400,
    '{"message":"gateways.0: \\"x\\" is not an IP address","code":"invalid","field":"gateways.0"}',
  ],
  [
    'POST /v1/networks {"name":"a","ipv6":"yes"}',
    400,
    '{"message":"ipv6: \\"yes\\" is not true or false","code":"invalid","field":"ipv6"}',
  ],
  [
    'POST /v1/networks {"name":"a","auxAddresses":["x"]}',
    400,
    '{"message":"auxAddresses.0: \\"x\\" is not of the form NAME=ADDRESS","code":"invalid","field":"auxAddresses.0"}',
  ],
  [
    'POST /v1/networks {"name":"a","options":{"mtu":1400}}',
    400,
    '{"message":"options.mtu: 1400 is not a string","code":"invalid","field":"options.mtu"}',
  ],
  [
    'GET /v1/networks/nowhere',
    404,
    '{"message":"no such network: nowhere; rootless-net network ls shows them","code":"no-such-network"}',
  ],
  [
    'DELETE /v1/networks/host',
    409,
    '{"message":"host is a predefined network and cannot be removed","code":"conflict"}',
  ],
  [
    'POST /v1/networks/nowhere/connect?container=nobody {"ip":"x"}',
    400,
    '{"message":"ip: \\"x\\" is not an IPv4 address","code":"invalid","field":"ip"}',
  ],
  [
    'POST /v1/networks/nowhere/connect?container=nobody {"foo":1}',
    400,
    '{"message":"unknown key \\"foo\\"","code":"invalid"}',
  ],
  [
    'POST /v1/networks/nowhere/connect?container=nobody "x"',
    400,
    '{"message":"the request is not a JSON object","code":"container"}',
  ],
  [
    'POST /v1/networks/nowhere/connect?container=nobody []',
    400,
    '{"message":"the request is not a JSON object","code":"container"}',
  ],
];
