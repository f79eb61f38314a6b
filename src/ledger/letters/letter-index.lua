-- letter-index: what the scripts that move dead letters share. Kept in one place, so that no script forgets an index or
-- a count.

-- The index of letters is six keys: keys.deadByTime, deadByUser, deadByCode, deadByReason, deadUsers and deadCounts.
-- The scripts that join this file name them.

local function listLetter(eventId, user, reason, code, deadAt)
  redis.call('ZADD', keys.deadByTime, deadAt, eventId)
  redis.call('ZADD', keys.deadByUser, 0, user .. ' ' .. eventId)
  redis.call('ZADD', keys.deadByCode, 0, code .. ' ' .. eventId)
  redis.call('ZADD', keys.deadByReason, 0, reason .. ' ' .. code .. ' ' .. eventId)
  redis.call('HINCRBY', keys.deadUsers, user, 1)
  redis.call('HINCRBY', keys.deadCounts, 'reason:' .. reason, 1)
  redis.call('HINCRBY', keys.deadCounts, 'code:' .. code, 1)
end

local function unlistLetter(eventId, user, reason, code)
  redis.call('ZREM', keys.deadByTime, eventId)
  redis.call('ZREM', keys.deadByUser, user .. ' ' .. eventId)
  redis.call('ZREM', keys.deadByCode, code .. ' ' .. eventId)
  redis.call('ZREM', keys.deadByReason, reason .. ' ' .. code .. ' ' .. eventId)
  if redis.call('HINCRBY', keys.deadUsers, user, -1) <= 0 then
    redis.call('HDEL', keys.deadUsers, user)
  end
  for _, field in ipairs({ 'reason:' .. reason, 'code:' .. code }) do
    if redis.call('HINCRBY', keys.deadCounts, field, -1) <= 0 then
      redis.call('HDEL', keys.deadCounts, field)
    end
  end
end

-- Whether event a was accepted before event b. By digits, since the parts are 64-bit numbers, which Lua's lack
-- room for; stream IDs have no leading zeros.
local function isOlder(a, b)
  local aMs, aSeq = string.match(a, '^(%d+)%-(%d+)$')
  local bMs, bSeq = string.match(b, '^(%d+)%-(%d+)$')
  local function compare(x, y)
    if #x ~= #y then
      return #x - #y
    end
    return x == y and 0 or (x < y and -1 or 1)
  end
  local ms = compare(aMs, bMs)
  return ms < 0 or (ms == 0 and compare(aSeq, bSeq) < 0)
end
