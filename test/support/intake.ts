import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

/** An answer of the HTTP intake. */
export interface IntakeAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

/** A client of an HTTP intake that holds every answer against the description that the intake itself serves. */
export interface IntakeClient {
  post(body: unknown, headers?: Readonly<Record<string, string>>): Promise<IntakeAnswer>;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<IntakeAnswer>;
  /** The description. */
  // biome-ignore lint/suspicious/noExplicitAny: a JSON document
  readonly document: any;
  /** Statuses that came so far, by `post /v1/users` and the like. */
  readonly seen: ReadonlyMap<string, ReadonlySet<number>>;
  /** Names of fields in users' results so far. */
  readonly fields: ReadonlySet<string>;
}

export async function intakeClient(url: string, token: string): Promise<IntakeClient> {
  // biome-ignore lint/suspicious/noExplicitAny: a JSON document
  const document: any = await (await fetch(`${url}/openapi.json`)).json();
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ ...document, $id: 'intake' });
  const validators = new Map<string, ValidateFunction>();
  const seen = new Map<string, Set<number>>();
  const fields = new Set<string>();

  const validatorOf = (pointer: string): ValidateFunction => {
    const known = validators.get(pointer);
    if (known !== undefined) return known;
    const made = ajv.compile({ $ref: `intake#${pointer}` });
    validators.set(pointer, made);
    return made;
  };
  const check = (method: string, path: string, { status, headers, json }: IntakeAnswer): void => {
    const place = `${method} ${path}`;
    const response = document.paths[path]?.[method]?.responses[status];
    if (response === undefined)
      throw new Error(`${place}: ${status} is not described: ${JSON.stringify(json)}`);
    const valid = validatorOf(
      ['/paths', path, method, 'responses', status, 'content', 'application/json', 'schema']
        .map((part, i) => (i === 0 ? part : String(part).replaceAll('~', '~0').replaceAll('/', '~1')))
        .join('/')
        .replaceAll('{', '%7B')
        .replaceAll('}', '%7D'),
    );
    if (!valid(json)) {
      const why = ajv.errorsText(valid.errors).slice(0, 1_000);
      throw new Error(`${place}: ${status} does not fit: ${why}: ${JSON.stringify(json).slice(0, 2_000)}`);
    }
    // A described answer has its headers; only the applied preference depends on the request.
    for (const name of Object.keys(response.headers ?? {})) {
      if (name !== 'Preference-Applied' && headers.get(name) === null) {
        throw new Error(`${place}: ${status} lacks the header ${name}`);
      }
    }
    seen.set(place, (seen.get(place) ?? new Set()).add(status));
    for (const result of (json as { results?: object[] }).results ?? [])
      for (const name of Object.keys(result)) fields.add(name);
  };
  const speak = async (
    method: string,
    target: string,
    path: string,
    init: RequestInit,
  ): Promise<IntakeAnswer> => {
    const response = await fetch(url + target, {
      ...init,
      method: method.toUpperCase(),
      signal: AbortSignal.timeout(50_000),
    });
    const answer: IntakeAnswer = {
      status: response.status,
      headers: response.headers,
      json: await response.json(),
    };
    check(method, path, answer);
    return answer;
  };
  const authorized = { authorization: `Bearer ${token}` };
  return {
    document,
    seen,
    fields,
    post: (body, headers = {}) =>
      speak('post', '/v1/users', '/v1/users', {
        body:
          typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...authorized, ...headers },
      }),
    get: (target, headers = authorized) =>
      speak('get', target, target.startsWith('/v1/users/') ? '/v1/users/{id}' : target, { headers }),
  };
}
