import type { EventEmitter } from 'node:events';
import type { Command } from 'commander';

/**
 * Makes an option with an empty value, as from an unset variable (`--state-dir="$DIR"`), equal to no option: no option has a
 * meaning for an empty value. Applies to the command and its subcommands. `except` has the names, without dashes, of options
 * that must reject an empty value because a default would be unsafe. With `reset` an empty value also cancels an earlier one;
 * lists keep their values.
 */
export function ignoreEmptyOptions(command: Command, except: readonly string[] = [], { reset = false } = {}): void {
  // Commander's types declare only `on`.
  const emitter = command as unknown as EventEmitter;
  for (const option of command.options) {
    if (!option.required || except.includes(option.name())) continue;
    const event = `option:${option.name()}`;
    const listeners = emitter.listeners(event);
    emitter.removeAllListeners(event);
    emitter.on(event, (value: string | null) => {
      if (value !== '') for (const listener of listeners) listener(value);
      else if (reset && !option.parseArg) {
        command.setOptionValueWithSource(option.attributeName(), option.defaultValue, 'default');
      }
    });
  }
  for (const subcommand of command.commands) ignoreEmptyOptions(subcommand, except, { reset });
}
