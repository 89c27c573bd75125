// The page of a stack: gets snapshots and events by a WebSocket, and shows them. Names in them come from inside the namespaces:
// they become text, never markup.
import { draw, rateText } from './picture.js';

const MOST_LINES = 50;
const RETRY_MS = 2000;
/** How long a refusal marks its port, in ms. */
const MARK_MS = 10_000;

const element = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';

let before;
/** By port: when and why a connection was refused last. */
const refusals = new Map();

function connect() {
  const socket = new WebSocket(`ws://${location.host}/live`, ['rootless-net', `token.${token}`]);
  let opened = false;
  socket.onopen = () => {
    opened = true;
    showState('live', false);
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'snapshot') showSnapshot(message);
    else showEvent(message);
  };
  socket.onclose = () => {
    showState(
      opened
        ? 'connection lost, trying again …'
        : 'refused: open the address that rootless-run has printed, with its token',
      true,
    );
    setTimeout(connect, RETRY_MS);
  };
}

function showState(text, lost) {
  const state = element('state');
  state.textContent = text;
  state.classList.toggle('lost', lost);
}

function showSnapshot(now) {
  const { stack } = now;
  document.title = `${stack.name} - rootless-net`;
  element('name').textContent = stack.name;
  element('drivers').textContent = `network ${stack.network}, ports ${stack.portDriver}, version ${stack.version}`;
  for (const [port, { time }] of refusals) if (now.time - time > MARK_MS) refusals.delete(port);
  const totals = draw(element('picture'), { now, before, refusals });
  const more = now.portCount > now.ports.length ? ` (${now.ports.length} shown)` : '';
  const moreFlows = now.connectionCount > now.flows.length ? ` (${now.flows.length} shown)` : '';
  element('totals').textContent =
    `${now.portCount} ports${more}, ${now.connectionCount} connections${moreFlows}, in ${rateText(totals.in)}, out ${rateText(totals.out)}`;
  before = now;
}

function showEvent(event) {
  if (event.type === 'connection-refused') {
    const port = before?.ports.find(({ id }) => id === event.port);
    const where = port
      ? `${port.spec.parentIP || '*'}:${port.spec.parentPort}/${port.spec.proto}`
      : `port ${event.port}`;
    refusals.set(event.port, { time: event.time, reason: event.reason });
    addLine('refused', event.time, `${event.client} at ${where}: ${event.reason}`);
  } else if (event.type === 'egress-denied') {
    const who = event.container === undefined ? event.client : `${event.container} (${event.client})`;
    addLine('refused', event.time, `${who} to ${event.destination}: ${event.rule ?? event.reason}`);
  } else {
    const { time, type, container = '', network = '', driver = '', state = '', reason = '', id = '', exitCode } = event;
    const name = type.startsWith('port-') ? `${id}` : '';
    const code = exitCode === undefined ? '' : `with code ${exitCode}`;
    const words = [type.replaceAll('-', ' '), name, network, container, driver, state, code, reason];
    addLine('changes', time, words.filter((word) => word !== '').join(' '));
  }
}

function addLine(id, time, text) {
  const line = document.createElement('li');
  const when = document.createElement('time');
  when.textContent = `${new Date(time).toLocaleTimeString()} `;
  line.append(when, text);
  const list = element(id);
  list.prepend(line);
  while (list.children.length > MOST_LINES) list.lastChild.remove();
}

connect();
