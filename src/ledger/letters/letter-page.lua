-- letter-page: a page of a list of letters that is ordered by time. Reads only.
--
-- KEYS  1 sorted set eventId -> time (ms)
-- ARGV  1 time and 2 eventId of the last letter of the page before ('' and '' for the first page)
--       3 earliest time  4 number of letters
-- Answers {eventId, time, eventId, time, ...}, oldest first. The place to go on from is found by what the last
-- letter was, not by its rank: letters that went meanwhile, itself included, shift ranks. One step, so that
-- nothing shifts between finding the place and reading. Cost: O(log² of all + letters of the page).

local list, time, eventId, earliest, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

-- Redis orders equal times by the bytes of their members; Lua's own comparison goes by the locale.
local function isAfter(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x > y
    end
  end
  return #a > #b
end

local from = redis.call('ZCOUNT', list, '-inf', '(' .. (time == '' and earliest or time))
local to = time == '' and from or redis.call('ZCOUNT', list, '-inf', time)
while from < to do
  local middle = math.floor((from + to) / 2)
  if isAfter(redis.call('ZRANGE', list, middle, middle)[1], eventId) then
    to = middle
  else
    from = middle + 1
  end
end
return redis.call('ZRANGE', list, from, from + most - 1, 'WITHSCORES')
