import { normalizeGoFlags } from './go-flags.js';
import { LONG_OPTIONS, program, reportError } from './rootlessctl-command.js';

// A reader that went away, such as `head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const args = normalizeGoFlags(process.argv.slice(2), LONG_OPTIONS);
if (args.length === 0) program.outputHelp();
else void program.parseAsync(args, { from: 'user' }).catch(reportError);
