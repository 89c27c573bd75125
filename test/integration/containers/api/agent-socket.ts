import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ContainerStack } from '../../../support/stacks/containers.js';

/** A request straight to the agent, with any path. */
export function ask(
  stack: ContainerStack,
  method: string,
  path: string,
  body = '',
): Promise<{ status: number; message: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: join(stack.stateDir, 'agent.sock'), method, path }, (answer) => {
      text(answer).then((message) => resolve({ status: answer.statusCode ?? 0, message }), reject);
    });
    asked.once('error', reject);
    asked.end(body);
  });
}
