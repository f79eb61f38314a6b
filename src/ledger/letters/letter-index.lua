-- letter-index: what the scripts that move dead letters share. It stands before their own text and does nothing
-- by itself. Kept in one place, so that no script forgets an index or a count.

-- The index keys, which stand one after another from KEYS[first] in every script.
local function letterIndex(first)
  return {
    time = KEYS[first], user = KEYS[first + 1], code = KEYS[first + 2], reason = KEYS[first + 3],
    users = KEYS[first + 4], counts = KEYS[first + 5],
  }
end

local function listLetter(index, eventId, user, reason, code, deadAt)
  redis.call('ZADD', index.time, deadAt, eventId)
  redis.call('ZADD', index.user, 0, user .. ' ' .. eventId)
  redis.call('ZADD', index.code, 0, code .. ' ' .. eventId)
  redis.call('ZADD', index.reason, 0, reason .. ' ' .. code .. ' ' .. eventId)
  redis.call('HINCRBY', index.users, user, 1)
  redis.call('HINCRBY', index.counts, 'reason:' .. reason, 1)
  redis.call('HINCRBY', index.counts, 'code:' .. code, 1)
end

local function unlistLetter(index, eventId, user, reason, code)
  redis.call('ZREM', index.time, eventId)
  redis.call('ZREM', index.user, user .. ' ' .. eventId)
  redis.call('ZREM', index.code, code .. ' ' .. eventId)
  redis.call('ZREM', index.reason, reason .. ' ' .. code .. ' ' .. eventId)
  if redis.call('HINCRBY', index.users, user, -1) <= 0 then
    redis.call('HDEL', index.users, user)
  end
  for _, field in ipairs({ 'reason:' .. reason, 'code:' .. code }) do
    if redis.call('HINCRBY', index.counts, field, -1) <= 0 then
      redis.call('HDEL', index.counts, field)
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
