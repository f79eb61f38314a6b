-- batch-size: notes how large a call should be.
--
-- KEYS     culprits    hash users, found (both fade), size (users that a batch call should hold at most)
--          bodyLimit   string: bytes of a body that pass
-- Request  either bodyBytes, forMs   the body limit, and how long it stands
--          or     users, found       users newly judged, and those of them that were refused
-- Answers the share of refused users as text; nothing to a body limit. Older users fade, so the estimate is
--   bounded, goes back by itself as the innocent pass, and is gone when nothing was heard for a while.
-- Atomic, so that every process adds to the same estimate, and cut.lua reads one size. The body limit is
--   written by a script as well, so that a full Redis takes it (docs/decisions/0050).

-- Users that the estimate looks back on, and for how long it stands without news.
local WINDOW_USERS, FORGET_SECONDS = 5000, 600
-- Innocent users assumed at the start: one bad batch must not shrink all others.
local PRIOR_USERS = 300
-- A smaller batch is hardly better than single calls, and more of them are needed to see things mend.
local MIN_SIZE, MAX_SIZE = 10, 100

nameKeys('culprits', 'bodyLimit')
readRequest()
writeNothing('HDEL', keys.culprits)

if request.bodyBytes then
  redis.call('SET', keys.bodyLimit, request.bodyBytes, 'PX', request.forMs)
  return
end

local before = readFields(keys.culprits, 'users', 'found')
local users = tonumber(before.users or PRIOR_USERS) + request.users
local found = tonumber(before.found or 0) + request.found
local fade = math.min(1, WINDOW_USERS / users)
users, found = users * fade, found * fade
if found < 0.5 then
  redis.call('DEL', keys.culprits)
  return '0'
end
local share = math.min(1, found / users)
local size = math.max(MIN_SIZE, math.min(MAX_SIZE, math.floor(1 / share)))
redis.call('HSET', keys.culprits, 'users', string.format('%.3f', users), 'found', string.format('%.3f', found), 'size', size)
redis.call('EXPIRE', keys.culprits, FORGET_SECONDS)
return string.format('%.6f', share)
