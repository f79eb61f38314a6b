-- call-record: how a call record comes to be. Functions for intake/cut.lua and ledger/letters/redrive.lua; they need
-- keys.callPrefix, keys.open, keys.openSince, keys.books, request.format and the clock.
--
-- The fields of a record: v (format), command, class, cutAt, users, events, entries, run; and from settle.lua those of
-- ledger/writes/keep-record.lua.

local function newCallId()
  return 'c' .. text(redis.call('HINCRBY', keys.books, 'callsCut', 1))
end

-- Seals a record: its membership never grows again. `oldest`: when its oldest event was accepted (ms, text). `run`: the
-- run that works on it from now on, '' for none.
local function sealCall(callId, command, class, packed, users, events, oldest, run)
  redis.call('HSET', keys.callPrefix .. callId, 'v', request.format, 'command', command, 'class', class, 'cutAt', nowText,
    'users', users, 'events', events, 'entries', packed, unpack(run ~= '' and { 'run', run } or {}))
  redis.call('ZADD', keys.open, nowText, callId)
  redis.call('ZADD', keys.openSince, oldest, callId)
  redis.call('HINCRBY', keys.books, 'events', events)
  redis.call('HINCRBY', keys.books, 'users:' .. command, users)
end
