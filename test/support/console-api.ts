import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import type { ImsyncProcess } from './process.ts';

/** Samples: at least 16 characters, and no secret. */
export const ACT_TOKEN = 'ann:acting-token-0123456789';
export const VIEW_TOKEN = 'vic:viewing-token-0123456789';

export const CONSOLE_ENV = {
  IMSYNC_CONSOLE_PORT: '0',
  IMSYNC_CONSOLE_TOKENS: ACT_TOKEN,
  IMSYNC_CONSOLE_VIEW_TOKENS: VIEW_TOKEN,
};

export interface ConsoleAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The parsed body; undefined when it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

export interface Ask {
  readonly method?: 'GET' | 'POST' | 'DELETE' | 'HEAD';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly token?: string;
  readonly cookie?: string;
  /** What a browser says of an act on the console's own page; false leaves it out. */
  readonly origin?: string | false;
}

/** Asks without any help of a browser: all headers are the test's own. */
export function askConsole(base: string, path: string, ask: Ask = {}): Promise<ConsoleAnswer> {
  const { method = ask.body === undefined ? 'GET' : 'POST', body, token, cookie, headers = {} } = ask;
  const url = new URL(base + path);
  const isAct = method === 'POST' || method === 'DELETE';
  const { origin = isAct ? url.origin : false } = ask;
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      url,
      {
        method,
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(token !== undefined && { authorization: `Bearer ${token.replace(/^\w+:/, '')}` }),
          ...(cookie !== undefined && { cookie }),
          ...(origin !== false && { origin }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const isJson =
            response.headers['content-type']?.startsWith('application/json') === true && text !== '';
          const json = isJson ? JSON.parse(text) : undefined;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
        });
      },
    );
    request.on('error', reject);
    request.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}

/** Where a worker's console listens, once it said so. */
export async function consoleUrl(worker: ImsyncProcess): Promise<string> {
  return String((await worker.line('console listens')).url);
}

/** Signs in; the cookie as a browser sends it back. */
export async function signIn(base: string, token: string): Promise<string> {
  const answer = await askConsole(base, '/api/session', { body: { token: token.replace(/^\w+:/, '') } });
  if (answer.status !== 200) throw new Error(`no session: ${answer.text}`);
  return String(answer.headers['set-cookie']).split(';')[0] ?? '';
}

interface OpenApi {
  readonly paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
}

/**
 * Holds answers against docs/console-api.yaml. `fit` answers what is wrong with the body of an answer, '' for
 * nothing. Fields that the document does not name count as wrong: the page's helper reads it.
 */
export function consoleContract() {
  const path = new URL('../../docs/console-api.yaml', import.meta.url);
  const document = parse(readFileSync(path, 'utf8')) as OpenApi;
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ ...document, $id: 'console' });
  const compiled = new Map<string, ValidateFunction>();
  const schemaOf = (ref: string): ValidateFunction => {
    const known = compiled.get(ref) ?? ajv.compile({ $ref: `console#${ref}` });
    compiled.set(ref, known);
    return known;
  };
  const escaped = (part: string): string =>
    encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
  return {
    paths: document.paths,
    /** `route`: as the document names it. */
    fit(route: string, method: string, { status, json }: Pick<ConsoleAnswer, 'status' | 'json'>): string {
      const operation = document.paths[route]?.[method.toLowerCase()];
      if (operation === undefined) return `the document knows no ${method} ${route}`;
      const isTold = operation.responses[String(status)] !== undefined;
      const ref = isTold
        ? `/paths/${escaped(route)}/${method.toLowerCase()}/responses/${status}/content/${escaped('application/json')}/schema`
        : '/components/schemas/Error';
      const fits = schemaOf(ref);
      return fits(json)
        ? ''
        : `${method} ${route} ${status}: ${ajv.errorsText(fits.errors)} ${JSON.stringify(json)}`;
    },
  };
}
