import { type Config, type ReadFile, refuseOn } from './config.ts';
import { type SecretTwin, secretTwins, valueAt } from './schema.ts';

/** The secrets as they are now. One that is not given is undefined or an empty list. */
export interface Secrets {
  readonly secretKey: string | undefined;
  readonly userSig: string | undefined;
  readonly redisPassword: string | undefined;
  readonly intakeTokens: readonly string[];
}

/**
 * Reads the secrets from the configuration or from their files, without the blanks around them. A file may
 * change (a rotated key, a UserSig made elsewhere), so this is called again before each probe.
 *
 * Throws ConfigError for a file that cannot be read, is empty or does not hold the secret. The error names
 * the variable and never quotes the file.
 */
export function readSecrets(config: Config, readFile: ReadFile): Secrets {
  const problems: string[] = [];
  const read = new Map<string, unknown>();
  for (const twin of secretTwins) {
    const answer = readTwin(config, twin, readFile);
    if ('problem' in answer) problems.push(answer.problem);
    else read.set(twin.inline.path, answer.value);
  }
  refuseOn(problems);
  const tokens = read.get('intake.tokens');
  return {
    secretKey: textOf(read.get('credentials.secretKey')),
    userSig: textOf(read.get('credentials.userSig')),
    redisPassword: textOf(read.get('redis.password')),
    intakeTokens: Array.isArray(tokens) ? tokens : [],
  };
}

/** Reads the key that signs UserSigs, or a UserSig made elsewhere. Throws as `readSecrets` does. */
export function readSigningSecret(
  config: Config,
  readFile: ReadFile,
): { readonly secretKey: string } | { readonly userSig: string } {
  const { secretKey, userSig } = readSecrets(config, readFile);
  return userSig === undefined ? { secretKey: secretKey ?? '' } : { userSig };
}

function readTwin(
  config: Config,
  { inline, file }: SecretTwin,
  readFile: ReadFile,
): { value: unknown } | { problem: string } {
  const path = textOf(valueAt(config, file.path));
  if (path === undefined) return { value: valueAt(config, inline.path) };
  let content: string;
  try {
    content = readFile(path).trim();
  } catch (error) {
    return { problem: `The file of ${file.env} cannot be read (${errorCode(error)}).` };
  }
  if (content === '') return { problem: `The file of ${file.env} is empty.` };
  const value = inline.reader.fromText(content);
  return value === undefined
    ? { problem: `The file of ${file.env} does not hold what it should: ${inline.reader.allowed}.` }
    : { value };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The code of one of Node's errors, such as `ENOENT`. In tests they are not always `instanceof Error`. */
export function errorCode(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'unknown error';
}
