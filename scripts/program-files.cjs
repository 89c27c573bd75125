// What those who make code caches and those who use them have to agree about.
const { readFileSync } = require('node:fs');

/** Where the code cache of a program is, for the node that runs this. */
exports.codeCacheFile = (directory, program) => `${directory}/${program}.${process.version}-${process.arch}.cache`;

/** The text of the program's bundle as a function, as require() would make it. esbuild writes plain ASCII. */
exports.wrapped = (filename) => `(function (require, __filename) {${readFileSync(filename, 'latin1')}\n})`;
