import type { Setting, schema } from './schema.ts';

type ValueOf<Node> = Node extends Setting<infer T> ? T : { readonly [Key in keyof Node]: ValueOf<Node[Key]> };

/** The configuration as the program sees it: the schema's values, read once and complete. */
export type Config = ValueOf<typeof schema>;

/** The form of the import calls. Their field names and limits differ. */
export type ApiForm = Config['api']['form'];

/** The region of an app. Each SDKAppID belongs to one, and each region has its own API hosts. */
export type RegionName = Config['api']['region'];

/** An API command. Each has a quota of its own. */
export type CommandName = keyof Config['quota']['perSecond'];

/** Reads a text file and throws Node's errors. It is passed as an argument, so that tests need no disk. */
export type ReadFile = (path: string) => string;

/**
 * The configuration cannot be used. `problems` holds one full sentence for each thing that is wrong, free of
 * secrets. A verb prints them to standard error and exits with 2.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export function refuseOn(problems: readonly string[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}
