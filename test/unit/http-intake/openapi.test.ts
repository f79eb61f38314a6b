import { Ajv2020 } from 'ajv/dist/2020.js';
import { openapiDocument } from '../../../src/http-intake/openapi.ts';
import type { UserReport } from '../../../src/tasks/find-user.ts';

test.each([null, { errorCode: 10002, errorInfo: 'inner', failures: 2, hasAccount: false }])(
  'the document describes a user in a call, under suspicion %j',
  (suspicion) => {
    const report: UserReport = {
      userId: 'ann',
      state: 'in-call',
      hasAccount: null,
      stopped: null,
      call: {
        ...{
          callId: 'c1',
          command: 'multiaccount_import',
          redrive: false,
          eventIds: ['1-0'],
          users: 3,
          tries: 1,
        },
        suspicion: suspicion && { ...suspicion, since: 1, httpStatus: 200 },
        attempts: [{ at: 1, command: 'multiaccount_import', errorCode: 10002, httpStatus: 200 }],
        ...{ sentAt: null, nextAt: 2 },
      },
      parked: { count: 0, eventIds: [] },
      ...{ waiting: [], letters: [], api: null, unchecked: [] },
    };
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema({ ...openapiDocument('1'), $id: 'intake' });
    const fits = ajv.compile({ $ref: 'intake#/components/schemas/UserFound' });
    expect([fits(JSON.parse(JSON.stringify(report))), fits.errors]).toEqual([true, null]);
  },
);
