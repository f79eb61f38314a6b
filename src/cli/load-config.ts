import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { ReadFile } from '../config/config.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';

/** Reads files of the configuration and of secrets. */
export const readTextFile: ReadFile = (path) => readFileSync(path, 'utf8');

/** The configuration of this process and of the global option `--config`. Throws ConfigError. */
export function loadForCommand(command: Command): LoadedConfig {
  const { config: configFile } = command.optsWithGlobals<{ config?: string }>();
  return loadConfig({ env: process.env, readFile: readTextFile, ...(configFile && { configFile }) });
}
