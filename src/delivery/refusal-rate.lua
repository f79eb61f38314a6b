-- refusal-rate: how many users of late were refused when their calls were?
--
-- Joined with: redis/prelude.lua.
-- KEYS     culprits: hash users, found (both fade), size (users that a batch call should hold at most)
-- Request  users, found      users newly judged, and those of them that were refused
--          windowUsers       users that the estimate looks back on
--          priorUsers        users assumed innocent at the start
--          forgetSeconds     after so long without news the estimate is gone
--          minSize, maxSize
-- Answers {share of refused users, size} as text. The estimate looks back over the last users (older ones fade), so it is
--   bounded, goes back by itself as the innocent pass, and is gone when nothing was heard for a while.
-- Atomic, so that every process adds to the same estimate and cut.lua reads one size.

nameKeys('culprits')
readRequest()
writeNothing('HDEL', keys.culprits)

local before = readFields(keys.culprits, 'users', 'found')
local users = tonumber(before.users or request.priorUsers) + request.users
local found = tonumber(before.found or 0) + request.found
local fade = math.min(1, request.windowUsers / users)
users, found = users * fade, found * fade
if found < 0.5 then
  redis.call('DEL', keys.culprits)
  return { '0', tostring(request.maxSize) }
end
local share = math.min(1, found / users)
local size = math.max(request.minSize, math.min(request.maxSize, math.floor(1 / share)))
redis.call('HSET', keys.culprits, 'users', string.format('%.3f', users), 'found', string.format('%.3f', found), 'size', size)
redis.call('EXPIRE', keys.culprits, request.forgetSeconds)
return { string.format('%.6f', share), tostring(size) }
