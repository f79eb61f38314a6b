import { type Config, type ReadFile, refuseOn } from './config.ts';
import type { Format } from './formats.ts';
import { schema } from './schema.ts';

/** The secrets as they are now. One that is not given is undefined or an empty list. */
export interface Secrets {
  readonly secretKey: string | undefined;
  readonly userSig: string | undefined;
  readonly redisPassword: string | undefined;
  readonly sentinelPassword: string | undefined;
  readonly intakeTokens: readonly string[];
  /** The address of the proxy, which may hold a password. */
  readonly proxyUrl: string | undefined;
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
  const read = <T>(given: T, path: string, pathVariable: string, reader: Format<T>): T | undefined =>
    readSecret(given, path, pathVariable, reader, readFile, problems);
  const { redis, credentials: own, intake, proxy } = config;
  const { password, sentinelPassword } = schema.redis;
  const { secretKey, userSig } = schema.credentials;
  const secrets = {
    redisPassword:
      read(redis.password, redis.passwordFile, 'IMSYNC_REDIS_PASSWORD_FILE', password.reader) || undefined,
    sentinelPassword:
      read(
        redis.sentinelPassword,
        redis.sentinelPasswordFile,
        'IMSYNC_REDIS_SENTINEL_PASSWORD_FILE',
        sentinelPassword.reader,
      ) || undefined,
    secretKey:
      read(own.secretKey, own.secretKeyFile, 'IMSYNC_SDK_SECRET_KEY_FILE', secretKey.reader) || undefined,
    userSig: read(own.userSig, own.userSigFile, 'IMSYNC_USER_SIG_FILE', userSig.reader) || undefined,
    intakeTokens:
      read(intake.tokens, intake.tokensFile, 'IMSYNC_INTAKE_TOKENS_FILE', schema.intake.tokens.reader) ?? [],
    proxyUrl: read(proxy.url, proxy.urlFile, 'IMSYNC_PROXY_URL_FILE', schema.proxy.url.reader) || undefined,
  };
  refuseOn(problems);
  return secrets;
}

/** Reads the console's tokens, apart from the other secrets: a bad file of those closes no console. Throws alike. */
export function readConsoleTokens(
  { console }: Config,
  readFile: ReadFile,
): { readonly acting: readonly string[]; readonly viewing: readonly string[] } {
  const problems: string[] = [];
  const { reader } = schema.console.tokens;
  const read = (given: readonly string[], path: string, variable: string): readonly string[] =>
    readSecret(given, path, variable, reader, readFile, problems) ?? [];
  const acting = read(console.tokens, console.tokensFile, 'IMSYNC_CONSOLE_TOKENS_FILE');
  const viewing = read(console.viewTokens, console.viewTokensFile, 'IMSYNC_CONSOLE_VIEW_TOKENS_FILE');
  refuseOn(problems);
  return { acting, viewing };
}

/**
 * A secret as it was given, or from its file without the blanks around it. Adds a sentence to `problems` and
 * returns undefined for a file that cannot be read, is empty or does not hold the secret.
 */
export function readSecret<T>(
  given: T,
  path: string,
  pathVariable: string,
  reader: Format<T>,
  readFile: ReadFile,
  problems: string[],
): T | undefined {
  if (path === '') return given;
  let content: string;
  try {
    content = readFile(path).trim();
  } catch (error) {
    problems.push(`The file of ${pathVariable} cannot be read (${errorCode(error)}).`);
    return undefined;
  }
  const value = content === '' ? undefined : reader.fromText(content);
  if (value === undefined) {
    const fault = reader.faultOf?.(content);
    const should = `does not hold what it should: ${fault ?? reader.allowed}`;
    const problem = content === '' ? 'is empty' : should;
    problems.push(`The file of ${pathVariable} ${problem}.`);
  }
  return value;
}

/** Reads the key that signs UserSigs, or a UserSig made elsewhere. Throws as `readSecrets` does. */
export function readSigningSecret(
  config: Config,
  readFile: ReadFile,
): { readonly secretKey: string } | { readonly userSig: string } {
  const { secretKey, userSig } = readSecrets(config, readFile);
  return userSig === undefined ? { secretKey: secretKey ?? '' } : { userSig };
}

/** The code of one of Node's errors, such as `ENOENT`. In tests they are not always `instanceof Error`. */
export function errorCode(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'unknown error';
}
