-- release-or-keep: what a settlement does to the record and to its users. Functions for settle.lua.

-- Parked entries that one settlement moves, about: some ms of Redis. A user with more than MOST_RETURNED keeps the rest
-- parked, behind a call of their own.
local MOST_MOVED, MOST_RETURNED, MOST_IN_CALL = 2000, 300, 1000

-- Returns what is parked behind a user to the head of the intake's front, in order. To the head, since a cut
-- may have stopped in the middle of what the user had there: the part that it parked is older than the part
-- that it left.
local function returnParked(user)
  local parked = keys.parkedPrefix .. user
  if redis.call('LLEN', keys.returned) == 0 then
    redis.call('HSET', keys.books, 'returnedSince', nowText)
  end
  local entries, backwards = redis.call('LRANGE', parked, 0, -1), {}
  -- Newest first, as LPUSH puts each before the last.
  for k = #entries, 1, -1 do
    backwards[#backwards + 1] = entries[k]
  end
  if #entries > 0 then
    redis.call('LPUSH', keys.returned, unpack(backwards))
  end
  redis.call('DEL', parked)
  redis.call('HDEL', keys.parkedCounts, user)
  return #entries
end

-- The oldest entries that are parked behind a user go into a call at once, which supersedes all of them but the newest.
-- To return a hundred thousand to the intake would take Redis long, and the next cut would park them all again. The user
-- stays owned, so that whatever comes meanwhile is parked behind. Answers how many entries it took, and the call.
local function callParked(user, most, command)
  local parked, entries, bytes = keys.parkedPrefix .. user, {}, 0
  local isFull = false
  while not isFull do
    local page = redis.call('LRANGE', parked, #entries, #entries + 99)
    for i = 1, #page do
      isFull = isFull or #entries > 0 and (#entries >= most or bytes + #page[i] > request.maxBytes)
      if not isFull then
        entries[#entries + 1], bytes = page[i], bytes + #page[i]
      end
    end
    isFull = isFull or #page == 0
  end
  redis.call('LTRIM', parked, #entries, -1)
  if redis.call('HINCRBY', keys.parkedCounts, user, -#entries) == 0 then
    redis.call('HDEL', keys.parkedCounts, user)
  end
  redis.call('HINCRBY', keys.books, 'parked', -#entries)
  local callId, oldest = newCallId(), string.match(entries[1], '^%["(%d+)')
  sealCall(callId, command, 'live', '[' .. table.concat(entries, ',') .. ']', 1, #entries, oldest, '')
  claimUsers({ user, callId })
  return #entries, callId
end

-- Releases the users of whom no event stays. Answers how many entries went back to the intake, and the calls that were
-- made of those of users with many.
local function releaseUsers(command)
  local released, returned, moved, calls = request.released, 0, 0, {}
  if #released == 0 then
    return 0, calls
  end
  redis.call('HDEL', keys.owners, unpack(released))
  if redis.call('HLEN', keys.parkedCounts) > 0 then
    local counts = redis.call('HMGET', keys.parkedCounts, unpack(released))
    for i = #released, 1, -1 do
      local count = tonumber(counts[i] or 0)
      if count > MOST_RETURNED or count > 0 and moved + count > MOST_MOVED then
        count, calls[#calls + 1] = callParked(released[i], math.min(MOST_IN_CALL, MOST_MOVED - moved), command)
        moved = moved + count
      elseif count > 0 then
        returned = returned + returnParked(released[i])
        moved = moved + count
      end
    end
  end
  return returned, calls
end

-- What stays is called again at dueAtMs.
local function keepRecord(keep, isRedrive)
  redis.call('HSET', keys.call, 'entries', keep.entries, 'users', keep.users, 'events', keep.events, 'tries', keep.tries,
    'attempts', keep.attempts, 'dueAt', text(keep.dueAtMs), 'firstSentAt', text(keep.firstSentAtMs),
    'heldMsAtFirst', text(keep.heldMsAtFirst))
  if not keep.onWire then
    redis.call('HDEL', keys.call, 'sentAt')
  end
  if keep.suspects then
    redis.call('HSET', keys.call, 'suspects', keep.suspects)
  end
  local dueAt = text(math.max(nowMs, keep.dueAtMs))
  redis.call('ZADD', keys.open, dueAt, request.callId)
  if not isRedrive then
    redis.call('ZADD', keys.openSince, text(keep.oldestMs), request.callId)
  end
  if keep.isIsolated then
    -- A version that does not know this list leaves there what it has closed.
    redis.call('ZREMRANGEBYSCORE', keys.isolated, '-inf', '(' .. text(nowMs - 3600000))
    redis.call('ZADD', keys.isolated, dueAt, request.callId)
  end
end
