import { isFields, isListOf } from '../../protocol/api/report-shapes.js';
import {
  isOverlayJoined,
  isOverlayReport,
  isToken,
  type OverlayJoined,
  type OverlayReport,
  type OverlayRequest,
} from '../../protocol/overlay/reports.js';
import { checked } from './answer.js';
import { StackClient } from './stack-client.js';

/** Client of a stack's overlay networks. Every method throws StackUnreachableError and APIError. */
export class OverlayClient {
  readonly #stack: StackClient;

  /** @param socketPath path of api.sock in the stack's state directory */
  constructor(socketPath: string) {
    this.#stack = new StackClient(socketPath);
  }

  async list(): Promise<OverlayReport[]> {
    return checked(await this.#stack.call('GET', '/v1/overlays'), isListOf(isOverlayReport));
  }

  async report(name: string): Promise<OverlayReport> {
    return checked(await this.#stack.call('GET', pathOf(name)), isOverlayReport);
  }

  /** Makes a network, or joins one; for a known static network, adds the members of the token. */
  async join(request: OverlayRequest): Promise<OverlayJoined> {
    return checked(await this.#stack.call('POST', '/v1/overlays', request), isOverlayJoined);
  }

  async token(name: string): Promise<string> {
    const { token } = checked(await this.#stack.call('POST', pathOf(name, 'token')), isFields);
    return checked(token, isToken);
  }

  /** Resolves when the new key is in use, after some 10 s. */
  async rotate(name: string): Promise<void> {
    await this.#stack.call('POST', pathOf(name, 'rotate'));
  }

  /** Resolves with the member's name. */
  async expel(name: string, member: string): Promise<string> {
    const path = `${pathOf(name, 'expel')}?member=${encodeURIComponent(member)}`;
    return String(checked(await this.#stack.call('POST', path), isFields).name);
  }

  async leave(name: string, { remove = false, force = false } = {}): Promise<void> {
    await this.#stack.call('DELETE', `${pathOf(name)}?remove=${remove}&force=${force}`);
  }
}

function pathOf(...parts: string[]): string {
  return `/v1/overlays/${parts.map(encodeURIComponent).join('/')}`;
}
