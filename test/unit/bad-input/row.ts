/**
 * What is tried: a command line, as words with single quotes, or a request (`METHOD PATH BODY`); the exit code or the status;
 * and the one line on standard error, without the name of the program and "error: ", or the whole body of the answer.
 */
export type Row = readonly [tried: string, code: number, text: string];
