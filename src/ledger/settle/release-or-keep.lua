-- release-or-keep: what a settlement does to the record and to its users. Functions for settle.lua.

-- Returns what is parked behind a user to the head of the intake's front, in order. To the head, since a cut
-- may have stopped in the middle of what the user had there: the part that it parked is older than the part
-- that it left.
local function returnParked(user)
  local parked = keys.parkedPrefix .. user
  if redis.call('LLEN', keys.returned) == 0 then
    redis.call('HSET', keys.books, 'returnedSince', nowText)
  end
  local entries = redis.call('LRANGE', parked, 0, -1)
  -- Many at a time: one user may have parked a hundred thousand. Newest first, as LPUSH puts each before the last.
  local backwards = {}
  for k = #entries, 1, -1 do
    backwards[#backwards + 1] = entries[k]
    if #backwards == 1000 or k == 1 then
      redis.call('LPUSH', keys.returned, unpack(backwards))
      backwards = {}
    end
  end
  redis.call('DEL', parked)
  redis.call('HDEL', keys.parkedCounts, user)
  return #entries
end

-- Releases the users of whom no event stays. Answers how many entries went back to the intake.
local function releaseUsers()
  local released, returned = request.released, 0
  if #released == 0 then
    return 0
  end
  redis.call('HDEL', keys.owners, unpack(released))
  if redis.call('HLEN', keys.parkedCounts) > 0 then
    local counts = redis.call('HMGET', keys.parkedCounts, unpack(released))
    for i = #released, 1, -1 do
      if counts[i] then
        returned = returned + returnParked(released[i])
      end
    end
  end
  return returned
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
