import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { ReadFile } from '../config/config.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';

/** Reads a file of the configuration or of a secret. */
export const readTextFile: ReadFile = (path) => readFileSync(path, 'utf8');

/** Loads the configuration with the environment and the global option `--config`. Throws ConfigError. */
export function loadForCommand(command: Command): LoadedConfig {
  const { config: configFile } = command.optsWithGlobals<{ config?: string }>();
  return loadConfig({ env: process.env, readFile: readTextFile, ...(configFile && { configFile }) });
}
