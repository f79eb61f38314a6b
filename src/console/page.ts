import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { FastifyReply } from 'fastify';

/** The built page: `index.html` and `assets/`, which Vite writes to `dist/console/page`. */
const FOLDER = fileURLToPath(new URL('page/', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};
/** Names of assets carry a hash of their content. */
const FOR_EVER = 'public, max-age=31536000, immutable';

interface PageFile {
  readonly type: string;
  readonly cache: string;
  readonly body: Buffer;
  readonly gzip: Buffer;
  readonly br: Buffer;
}

export type Page = Readonly<{
  answer: (reply: FastifyReply, path: string) => Promise<boolean>;
  isBuilt: boolean;
}>;

/**
 * Serves the page below `basePath`. Files are read at once, all of one version: an upgrade may replace them under
 * a process that runs. They are compressed at the first request. `answer` says whether it had something to answer:
 * a file, or the page itself for a path that is not below `assets/`.
 */
export function createPage(basePath: string, folder = FOLDER): Page {
  let files: Promise<ReadonlyMap<string, PageFile>> | undefined;
  const html = indexOf(folder);
  const assets = html === undefined ? [] : assetsOf(folder);
  const compress = async (): Promise<ReadonlyMap<string, PageFile>> => {
    if (html === undefined) return new Map();
    // Attributes are quoted by the validation of the setting: it holds no quote.
    const index = html.replace(/<base href="[^"]*"/, `<base href="${basePath}/"`);
    const all = [
      ['', await pageFile('.html', Buffer.from(index), 'no-cache')] as const,
      ...(await Promise.all(
        assets.map(async ([path, body]) => [path, await pageFile(extname(path), body, FOR_EVER)] as const),
      )),
    ];
    return new Map(all);
  };
  return {
    isBuilt: html !== undefined,
    async answer(reply, path) {
      files ??= compress();
      const known = await files;
      const file = known.get(path) ?? (path.startsWith('assets/') ? undefined : known.get(''));
      if (file === undefined) return false;
      send(reply, file);
      return true;
    },
  };
}

function assetsOf(folder: string): (readonly [path: string, body: Buffer])[] {
  return readdirSync(join(folder, 'assets')).map((name) => {
    const path = `assets/${name}`;
    return [path, readFileSync(join(folder, path))];
  });
}

function indexOf(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'index.html'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function pageFile(extension: string, body: Buffer, cache: string): Promise<PageFile> {
  const [zipped, br] = await Promise.all([
    promisify(gzip)(body, { level: 9 }),
    promisify(brotliCompress)(body, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: body.length } }),
  ]);
  return { type: TYPES[extension] ?? 'application/octet-stream', cache, body, gzip: zipped, br };
}

function send(reply: FastifyReply, { type, cache, ...bodies }: PageFile): void {
  const accepted = String(reply.request.headers['accept-encoding'] ?? '');
  const encoding = (['br', 'gzip'] as const).find((name) =>
    new RegExp(`\\b${name}\\b(?!;q=0(?:\\.0*)?(?:,|$))`).test(accepted),
  );
  reply.header('content-type', type).header('cache-control', cache).header('vary', 'accept-encoding');
  if (encoding !== undefined) reply.header('content-encoding', encoding);
  reply.send(encoding === undefined ? bodies.body : bodies[encoding]);
}
