import type { CommandName } from './commands.ts';

const MARK = '[redacted]';

/**
 * The texts of a call that must not come back in anybody's error text: the signature as it is and as an address
 * writes it, and a password (hosted mode).
 */
export function secretsIn(userSig: string, command: CommandName, body: string): string[] {
  const secrets = [userSig, encodeURIComponent(userSig), userSig.replaceAll('*', '%2A')];
  if (command === 'register_account_v1') {
    const { Password } = JSON.parse(body) as { Password?: unknown };
    if (typeof Password === 'string') secrets.push(Password, JSON.stringify(Password).slice(1, -1));
  }
  return [...new Set(secrets)].filter((secret) => secret !== '');
}

/** The text with every secret replaced. */
export function redact(text: string, secrets: readonly string[]): string {
  return secrets.reduce((clean, secret) => clean.replaceAll(secret, MARK), text);
}

/** Foreign text may quote the users of the call: each is cut out, as a whole word if it is a short one. */
export function withoutUsers(text: string, users: readonly string[]): string {
  if (text === '') return text;
  const short = new Set<string>();
  let clean = text;
  for (const user of [...users].sort((a, b) => b.length - a.length)) {
    if (user.length >= 6) clean = clean.replaceAll(user, '(user)');
    else short.add(user);
  }
  if (short.size === 0) return clean;
  return clean.replace(/[^\s,;:"'`()[\]{}<>=]+/g, (word) => {
    const bare = word.replace(/[.!?]+$/, '');
    return short.has(word) || short.has(bare) ? `(user)${word.slice(bare.length)}` : word;
  });
}
