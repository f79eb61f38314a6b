import { callUrl } from '../../test/support/simulator.ts';
import type { ApiUser } from './call.ts';
import { type Crowd, type CrowdUser, usersOf } from './crowd.ts';

export function apiUser({ userId, nick, faceUrl }: CrowdUser): ApiUser {
  return { UserID: userId, Nick: nick, FaceUrl: faceUrl };
}

/** The users of a call by their prefix: 100 of them. */
export function callCrowd(prefix: string): Crowd {
  return { prefix, count: 100 };
}

export function callUsers(prefix: string): ApiUser[] {
  return usersOf(callCrowd(prefix)).map(apiUser);
}

/** Where a peer posts its calls. */
export function batchUrl(simulatorUrl: string): string {
  return callUrl(simulatorUrl, 'multiaccount_import');
}
