#!/usr/bin/env node
import { runCli } from "./run-cli.ts";
import { processTerminal } from "./terminal.ts";

const words = process.argv.slice(2);
// Every user sees arguments as long as a process lives, and a token is the key of the network.
if (words.includes("join")) process.title = "weft join";
process.exitCode = await runCli(words, processTerminal());
