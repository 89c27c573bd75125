#!/usr/bin/env node
import './check-node.js';
import { rootlessRun } from './dialect.js';
import { runProgram } from './run-program.js';

process.exit(await runProgram(rootlessRun, process.argv.slice(2)));
