-- culprits: how many users of late were refused when their calls were?
--
-- KEYS 1 culprits: hash users, found (both decayed), size (users a batch call should hold at most)
-- ARGV 1 users newly judged  2 culprits among them  3 users that count  4 users assumed innocent at the start
--      5 seconds after which no news is good news   6 least size   7 greatest size
--
-- Answers {share of culprits, size} as text. The estimate looks back over the last users (older ones fade), so it
-- is bounded, goes back by itself as the innocent pass, and is gone when nothing was heard for a while. Atomic, so
-- that every process adds to the same estimate and cut.lua reads one size.

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[1], '')

local e = redis.call('HMGET', KEYS[1], 'users', 'found')
local users = tonumber(e[1] or ARGV[4]) + tonumber(ARGV[1])
local found = tonumber(e[2] or 0) + tonumber(ARGV[2])
local fade = math.min(1, tonumber(ARGV[3]) / users)
users, found = users * fade, found * fade
if found < 0.5 then
  redis.call('DEL', KEYS[1])
  return { '0', ARGV[7] }
end
local share = math.min(1, found / users)
local size = math.max(tonumber(ARGV[6]), math.min(tonumber(ARGV[7]), math.floor(1 / share)))
redis.call('HSET', KEYS[1], 'users', string.format('%.3f', users), 'found', string.format('%.3f', found), 'size', size)
redis.call('EXPIRE', KEYS[1], ARGV[5])
return { string.format('%.6f', share), tostring(size) }
