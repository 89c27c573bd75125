/** The exit codes of docker, env(1) and the shells. */
export const EXIT = {
  /** Of a command that runs no program. */
  failed: 1,
  /** Of one that runs a program, before the program was executed. Of all: the command line is invalid. */
  notStarted: 125,
  notExecutable: 126,
  notFound: 127,
} as const;

/** Error codes with an exit code of their own, whether the error was found here or reported by the stack's API. */
export const EXIT_BY_CODE: Readonly<Record<string, number>> = {
  usage: EXIT.notStarted,
  invalid: EXIT.notStarted,
  'invalid-port': EXIT.notStarted,
  'invalid-rule': EXIT.notStarted,
  'command-not-found': EXIT.notFound,
  'command-not-executable': EXIT.notExecutable,
};
