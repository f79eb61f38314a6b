import { computed, signal } from '@preact/signals';
import { ApiError, act, ask, hearFailures } from '../api/client.ts';
import type { Session } from '../api/types.ts';
import { replace } from './route.ts';

/** Undefined before the first answer, null while nobody is signed in. */
export const session = signal<Session | null | undefined>(undefined);
/** Why the sign-in is shown; undefined: nobody was signed in. */
export const gateReason = signal<'ended' | 'left' | 'bad-link' | 'link-again' | undefined>(undefined);

/** Rights count on the server, at each act; here they only decide which controls are shown. */
export const mayAct = computed(() => session.value?.rights === 'act');

hearFailures(({ code }) => {
  if (code !== 'no-session') return;
  if (session.peek()) gateReason.value = 'ended';
  session.value = null;
});

/** Whether somebody is signed in. Rejects with ApiError when that cannot be known. */
export async function findSession(): Promise<void> {
  try {
    session.value = await ask<Session>('session');
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'no-session') throw error;
  }
}

/** Rejects with ApiError: the token is wrong, or there were too many attempts. */
export async function signIn(token: string): Promise<void> {
  session.value = await act<Session>('session', { token });
  gateReason.value = undefined;
}

/** A one-time link carries a token behind `#`: it is used once and taken out of the address. */
export async function useLink(): Promise<void> {
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (token === undefined) return;
  replace([]);
  try {
    session.value = await act<Session>('session', { link: decodeURIComponent(token) });
  } catch (error) {
    // The sign-in that is shown then says so. Who is signed in already stays so.
    const isWrong = error instanceof ApiError && error.code === 'wrong-token';
    gateReason.value = isWrong ? 'bad-link' : 'link-again';
  }
}

export async function signOut(): Promise<void> {
  await act('session', {}, 'DELETE');
  gateReason.value = 'left';
  session.value = null;
}
