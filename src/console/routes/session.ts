import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Links } from '../access/links.ts';
import type { Caller } from '../access/origin.ts';
import { type AccessOptions, type Person, withToken } from '../access/person.ts';
import { type Session, sessionCookieName } from '../access/sessions.ts';
import { wrongToken } from '../refusal.ts';
import { personIn, type RouteContext } from './context.ts';

/** Languages of the page. */
const LANGUAGES = ['en', 'zh-CN'];

interface SessionOptions {
  readonly access: AccessOptions;
  readonly links: Links | undefined;
  readonly callerOf: (request: Pick<FastifyRequest, 'headers' | 'raw'>) => Caller;
}

/** Sign in, look who one is, sign out. */
export function sessionRoutes(app: FastifyInstance, context: RouteContext, options: SessionOptions): void {
  const { config, version, log } = context;
  const { access, links, callerOf } = options;
  const { sessions, tokens } = access;

  const describe = ({ name, rights, showUsers, kind, session }: Person) => ({
    ...{ name, rights, showUsers, kind, version },
    expiresAt: session?.expiresAt ?? null,
    sdkAppId: config.app.sdkAppId,
    pageLanguages: LANGUAGES,
  });
  const setCookie = (reply: FastifyReply, value: string, seconds: number): void => {
    const { basePath } = config.console;
    const { scheme } = callerOf(reply.request);
    // Without a listed proxy the page's own address tells, which has been compared with the host.
    const isSecure =
      scheme === 'https' || (scheme === 'unknown' && /^https:/i.test(reply.request.headers.origin ?? ''));
    const name = sessionCookieName(isSecure, basePath);
    const secure = isSecure ? '; Secure' : '';
    reply.header(
      'set-cookie',
      `${name}=${value}; Path=${basePath}/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`,
    );
  };
  const open = (reply: FastifyReply, holder: Session['holder']): Session => {
    const { cookie, session } = sessions.open(holder);
    log.info({ by: holder.name, address: callerOf(reply.request).address }, 'signed in to the console');
    setCookie(reply, cookie, Math.floor(config.console.sessionMs / 1_000));
    return session;
  };

  const secret = { type: 'string', minLength: 1, maxLength: 512 };
  const body = {
    type: 'object',
    minProperties: 1,
    maxProperties: 1,
    additionalProperties: false,
    properties: { token: secret, link: secret },
  };
  app.post<{ Body: { token?: string; link?: string } }>(
    '/api/session',
    { config: { rights: 'none' }, schema: { body } },
    async (request, reply) => {
      const { link, token = '' } = request.body;
      const linked = links?.redeem(link ?? token);
      if (linked !== undefined) {
        const session = open(reply, linked);
        return describe({
          name: linked.name,
          rights: linked.rights,
          showUsers: true,
          kind: 'session',
          session,
        });
      }
      // A link with somebody's token in it would sign its reader in as somebody else.
      if (link !== undefined) throw wrongToken();
      const { id, ...person } = withToken(access, callerOf(request), token);
      const holder = tokens.byId(id);
      if (holder === undefined) throw new TypeError('a token that was found has no holder: a bug');
      return describe({ ...person, kind: 'session', session: open(reply, holder) });
    },
  );
  app.get('/api/session', { config: { rights: 'view' } }, async (request) => describe(personIn(request)));
  // A viewer may sign out.
  app.delete('/api/session', { config: { rights: 'view' } }, async (request, reply) => {
    const { session } = personIn(request);
    setCookie(reply, '', 0);
    if (session !== undefined) await sessions.end(session);
    return reply.code(204).send();
  });
}
