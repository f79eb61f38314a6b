-- record: how call records are made, owned and closed, and how entries leave the intake for them. Functions
-- for this room's scripts, intake/cut.lua and pace/slot.lua, so that these structures are written in one
-- place. Each function needs the keys that it uses.
--
-- The fields of a record: v (format), command, class, cutAt, users, events, entries, run; sentAt; and those
-- of keepRecord in settle/release-or-keep.lua.

local function newCallId()
  return 'c' .. text(redis.call('HINCRBY', keys.books, 'callsCut', 1))
end

-- Seals a record: its membership never grows again. `oldest`: when its oldest event was accepted (ms, text).
-- `run`: the run that works on it from now on, '' for none.
local function sealCall(callId, command, class, packed, users, events, oldest, run)
  redis.call('HSET', keys.callPrefix .. callId, 'v', request.format, 'command', command, 'class', class, 'cutAt', nowText,
    'users', users, 'events', events, 'entries', packed, unpack(run ~= '' and { 'run', run } or {}))
  redis.call('ZADD', keys.open, nowText, callId)
  redis.call('ZADD', keys.openSince, oldest, callId)
  redis.call('HINCRBY', keys.books, 'events', events)
  redis.call('HINCRBY', keys.books, 'users:' .. command, users)
end

-- `claims`: user, callId, user, callId, ...
local function claimUsers(claims)
  if #claims > 0 then
    redis.call('HSET', keys.owners, unpack(claims))
  end
end

-- `mayBeIsolated`: all its users may be suspects.
local function closeCall(callId, isRedrive, mayBeIsolated)
  redis.call('DEL', keys.callPrefix .. callId)
  redis.call('ZREM', keys.open, callId)
  redis.call('ZREM', keys.openSince, callId)
  if mayBeIsolated then
    redis.call('ZREM', keys.isolated, callId)
  end
  if isRedrive then
    redis.call('HINCRBY', keys.books, 'redriveCalls', -1)
  end
end

-- False when the record is gone, or another run owns it.
local function isOwnedBy(call, run)
  return redis.call('HGET', call, 'run') == run
end

-- From here on the call may be on the wire: a run that takes the record over must know when it was sent.
local function recordSent(call, atMicros)
  redis.call('HSET', call, 'sentAt', text(atMicros / 1000))
end

-- Takes the first `count` entries of the list.
local function takeReturned(count)
  redis.call('LTRIM', keys.returned, count, -1)
end

-- Takes the first `count` entries of a chunk off the stream.
local function takeOffStream(chunk, count)
  local ids = {}
  for i = 1, count do
    ids[i] = chunk[i][1]
  end
  redis.call('XDEL', keys.stream, unpack(ids))
end

-- The user is in a call already: the entry waits behind it, in order. It is written with all others in writeParked, since
-- thousands of one user may come in a row.
local toPark = {}

local function parkEntry(user, packed)
  toPark[user] = toPark[user] or {}
  table.insert(toPark[user], packed)
end

local function writeParked()
  for user, list in pairs(toPark) do
    redis.call('RPUSH', keys.parkedPrefix .. user, unpack(list))
    redis.call('HINCRBY', keys.parkedCounts, user, #list)
  end
end

-- Counts what a cut took off the stream and parked.
local function countCut(taken, parked)
  redis.call('HINCRBY', keys.books, 'taken', taken)
  if parked > 0 then
    redis.call('HINCRBY', keys.books, 'parked', parked)
  end
end
