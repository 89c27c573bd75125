/** Sends its descriptors 4 and 5 over the socket that is its descriptor 3, and ends; see ../raw-socket.ts. */
import { native } from '../../native/index.js';
import { encodeMessage } from '../../protocol/wire/messages.js';

const engine = new (native().Engine)('', () => {});
engine.openChannel(1, 3);
engine.send(1, encodeMessage({ type: 'log', level: 'debug', text: 'two descriptors' }), [4, 5]);
engine.close();
