import { BlockList, isIP } from 'node:net';
import type { Config, ReadFile } from '../config/config.ts';
import { isLoopback } from '../config/formats.ts';
import { withoutPassword } from '../config/mask.ts';
import { readSecrets } from '../config/secrets.ts';

/** The proxy in front of a host. */
export interface ChosenProxy {
  /** The variable that names it, for people. */
  readonly variable: string;
  /** Its address as it is now, with user and password. Throws ConfigError if its file cannot be read. */
  readonly read: () => URL;
  /** Its address without the password, for people. */
  readonly shown: () => string;
}

/**
 * The proxy that calls to `target` take; undefined if they go out directly. IMSYNC_PROXY_URL counts for every
 * target. The variables that all programs share do not count for loopback, nor for what NO_PROXY names.
 */
export function chooseProxy(config: Config, readFile: ReadFile, target: URL): ChosenProxy | undefined {
  const { url, urlFile, https, http, none } = config.proxy;
  if (url !== '' || urlFile !== '') {
    const variable = urlFile === '' ? 'IMSYNC_PROXY_URL' : 'IMSYNC_PROXY_URL_FILE';
    return proxyOf(variable, () => readSecrets(config, readFile).proxyUrl ?? '');
  }
  const isSecure = target.protocol === 'https:';
  const [variable, shared] = isSecure ? (['HTTPS_PROXY', https] as const) : (['HTTP_PROXY', http] as const);
  if (shared === '' || isLoopback(bare(target.hostname)) || isExcepted(target, none)) return undefined;
  return proxyOf(variable, () => shared);
}

function proxyOf(variable: string, read: () => string): ChosenProxy {
  return { variable, read: () => new URL(read()), shown: () => withoutPassword(read()) };
}

/** Whether NO_PROXY names the host of `target`: itself, a domain above it, its address or its network. */
function isExcepted(target: URL, none: readonly string[]): boolean {
  const host = bare(target.hostname).toLowerCase();
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  return none.some((entry) => {
    if (entry === '*') return true;
    const [, name = entry, onlyPort = port] = /^(\[.*\]|[^:]*):(\d+)$/.exec(entry) ?? [];
    if (onlyPort !== port) return false;
    if (isIP(host) !== 0) return isInNetwork(host, bare(name));
    const domain = name.toLowerCase().replace(/^\*?\.|\.$/g, '');
    return host === domain || host.endsWith(`.${domain}`);
  });
}

/** `entry`: an address, or a network such as 10.0.0.0/8. */
function isInNetwork(host: string, entry: string): boolean {
  const [address = '', prefix] = entry.split('/');
  const family = isIP(address);
  const most = family === 6 ? 128 : 32;
  const bits = prefix === undefined ? most : Number(prefix);
  if (family === 0 || !Number.isInteger(bits) || bits < 0 || bits > most) return false;
  const network = new BlockList();
  network.addSubnet(address, bits, family === 6 ? 'ipv6' : 'ipv4');
  return network.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
}

function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]/, '$1');
}
