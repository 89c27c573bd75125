import { program, reportError } from './net-command.js';

// A reader that went away, such as `head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const args = process.argv.slice(2);
if (args.length === 0) program.outputHelp();
else void program.parseAsync(args, { from: 'user' }).catch(reportError);
