#!/usr/bin/env node
import './check-node.js';
import { rootlesskit } from './dialect.js';
import { runProgram } from './run-program.js';

process.exit(await runProgram(rootlesskit, process.argv.slice(2)));
