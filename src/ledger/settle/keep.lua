-- keep: the record after a settlement: shorter, or closed. Functions for settle.lua.

-- What stays is called again at dueAt.
local function keepRecord(keep, users, events, isRedrive)
  redis.call('HSET', keys.call, 'entries', keep.entries, 'users', users, 'events', events, 'tries', keep.tries,
    'attempts', keep.attempts, 'dueAt', text(keep.dueAt), 'firstSentAt', text(keep.firstSentAt),
    'heldMsAtFirst', text(keep.heldMsAtFirst))
  if not keep.onWire then
    redis.call('HDEL', keys.call, 'sentAt')
  end
  if keep.suspects then
    redis.call('HSET', keys.call, 'suspects', keep.suspects)
  end
  local dueAt = text(math.max(nowMs, keep.dueAt))
  redis.call('ZADD', keys.open, dueAt, request.callId)
  if not isRedrive then
    redis.call('ZADD', keys.openSince, text(keep.oldest), request.callId)
  end
  if keep.isolated then
    -- A version that does not know this list leaves there what it has closed.
    redis.call('ZREMRANGEBYSCORE', keys.isolated, '-inf', '(' .. text(nowMs - 3600000))
    redis.call('ZADD', keys.isolated, dueAt, request.callId)
  end
end

local function closeRecord(hasSuspects, isRedrive)
  redis.call('DEL', keys.call)
  redis.call('ZREM', keys.open, request.callId)
  redis.call('ZREM', keys.openSince, request.callId)
  if hasSuspects then
    redis.call('ZREM', keys.isolated, request.callId)
  end
  if isRedrive then
    redis.call('HINCRBY', keys.books, 'redriveCalls', -1)
  end
end
