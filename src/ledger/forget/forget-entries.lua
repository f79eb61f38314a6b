-- forget-entries: takes entries off the stream that are not to become calls.
--
-- Shares forget-tally.lua.
-- KEYS 1 stream  2 books
-- ARGV 1 tally prefix  2.. eventIds
--
-- Answers how many were there. They end as forget.lua says. One step, so that an entry is either cut or forgotten,
-- and counted once. Cost: O(entries).

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[2], '')

local gone = 0
for i = 2, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then
    redis.call('XDEL', KEYS[1], ARGV[i])
    countInTally(ARGV[1], entry[2], 1)
    gone = gone + 1
  end
end
if gone > 0 then
  for _, name in ipairs({ 'taken', 'dead', 'deadDeleted', 'forgotten' }) do
    redis.call('HINCRBY', KEYS[2], name, gone)
  end
end
return gone
