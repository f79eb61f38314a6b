-- books: where every event is, at one moment. Reads only.
--
-- KEYS 1 stream  2 returned  3 books  4 dead-counts  5 dead-by-time  6 open-since  7 isolated-calls
-- ARGV 1 call prefix
-- Answers {now ms, stream length, returned, oldest waiting ms or '', oldest letter ms or '', books..., dead-counts...,
--   when the oldest event in an open call was accepted (ms) or '', calls in which all users are suspected}
-- with the two hashes as lists of their own. Cost: O(distinct error codes among the letters).

local t = redis.call('TIME')
local oldest = ''
local head = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
if head[1] then
  oldest = string.match(head[1][1], '^%d+')
end
local returned = redis.call('LLEN', KEYS[2])
if returned > 0 then
  -- An ID says when its event was accepted, which is what an age is counted from. What came back last stands
  -- first, so the oldest may be at either end.
  for _, at in ipairs({ 0, -1 }) do
    local accepted = string.match(redis.call('LINDEX', KEYS[2], at), '^%["(%d+)')
    if accepted and (oldest == '' or tonumber(accepted) < tonumber(oldest)) then
      oldest = accepted
    end
  end
end
-- A record that another version has closed may still stand in the list: the sweep takes it out.
local oldestOpen = ''
local open = redis.call('ZRANGE', KEYS[6], 0, 99, 'WITHSCORES')
for i = 1, #open, 2 do
  if redis.call('EXISTS', ARGV[1] .. open[i]) == 1 then
    oldestOpen = open[i + 1]
    break
  end
end
local letter = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
return {
  string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)),
  redis.call('XLEN', KEYS[1]), returned, oldest, letter[2] or '',
  redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4]),
  oldestOpen, redis.call('ZCARD', KEYS[7]),
}
