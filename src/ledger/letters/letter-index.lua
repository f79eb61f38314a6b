-- letter-index: what the scripts that move dead letters share. Kept in one place, so that no script forgets
-- an index or a count. The index is five keys, which these scripts name: deadByTime, deadByUser, deadByReason,
-- deadUsers and deadCounts. Version 0.2.0 also listed letters in deadByCode, from which they are removed.

local function listLetter(eventId, user, reason, code, deadAt)
  redis.call('ZADD', keys.deadByTime, deadAt, eventId)
  redis.call('ZADD', keys.deadByUser, 0, user .. ' ' .. eventId)
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

-- Whether event a was accepted before event b. As text, since Lua's numbers do not hold 64-bit integers.
local function isOlder(a, b)
  local function sortable(eventId)
    local ms, seq = string.match(eventId, '^(%d+)%-(%d+)$')
    return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq
  end
  return sortable(a) < sortable(b)
end
