-- batch-size: notes how large a call should be.
--
-- KEYS     culprits    hash users, found (both fade), size (users that a batch call should hold at most)
--          bodyLimit   string: bytes of a body that pass
-- Request  either bodyBytes, forMs   the body limit, and how long it stands
--          or     users, found       users newly judged, and those of them that were refused
--                 windowUsers        users that the estimate looks back on
--                 priorUsers         users assumed innocent at the start
--                 forgetSeconds      after so long without news the estimate is gone
--                 minSize, maxSize
-- Answers the share of refused users as text; nothing to a body limit. Older users fade, so the estimate is
--   bounded, goes back by itself as the innocent pass, and is gone when nothing was heard for a while.
-- Atomic, so that every process adds to the same estimate, and cut.lua reads one size. The body limit is
--   written by a script as well, so that a full Redis takes it (docs/decisions/0050).

nameKeys('culprits', 'bodyLimit')
readRequest()
writeNothing('HDEL', keys.culprits)

if request.bodyBytes then
  redis.call('SET', keys.bodyLimit, request.bodyBytes, 'PX', request.forMs)
  return
end

local before = readFields(keys.culprits, 'users', 'found')
local users = tonumber(before.users or request.priorUsers) + request.users
local found = tonumber(before.found or 0) + request.found
local fade = math.min(1, request.windowUsers / users)
users, found = users * fade, found * fade
if found < 0.5 then
  redis.call('DEL', keys.culprits)
  return '0'
end
local share = math.min(1, found / users)
local size = math.max(request.minSize, math.min(request.maxSize, math.floor(1 / share)))
redis.call('HSET', keys.culprits, 'users', string.format('%.3f', users), 'found', string.format('%.3f', found), 'size', size)
redis.call('EXPIRE', keys.culprits, request.forgetSeconds)
return string.format('%.6f', share)
